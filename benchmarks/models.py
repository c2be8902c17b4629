"""Times whole quantized networks of PyTorch's with drop-in mode off and on.

    python benchmarks/models.py [--networks resnet50,mobilenet_v2] [--json FILE]

A network is quantized and packed by PyTorch; a deep copy of it, made while drop-in mode is on, is
packed by this package. Nothing else differs. Each is timed as a Python module and as a frozen
TorchScript one, on one image, all four in turns in one process: README.md says how.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import json
import sys
import warnings
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import networks
import tables
import torch
from machine import facts
from measure import rounded
from rich.console import Console
from timing import FULL, QUICK, Call, Sampling, Spread, interleaved, ratios
from torch import Tensor, nn

import torch_qconv_prepack as qconv

FORMS = ("module", "torchscript")
STOCK_ENGINES = ("x86", "onednn", "fbgemm", "qnnpack")

# A run takes milliseconds: a block of a few.
SAMPLING = {"full": dataclasses.replace(FULL, block_microseconds=60_000), "quick": QUICK}


@dataclasses.dataclass(frozen=True)
class Network:
    """A packed network as a contestant: it runs with drop-in mode on or off."""

    module: nn.Module
    image: Tensor
    enabled: bool

    def mode(self) -> AbstractContextManager[None]:
        return qconv.enabled() if self.enabled else nullcontext()

    def time_block(self, repetitions: int) -> float:
        with self.mode(), torch.inference_mode():
            return Call(self.module, (self.image,)).time_block(repetitions)

    def output(self) -> Tensor:
        with self.mode(), torch.inference_mode():
            result: Tensor = self.module(self.image)
            return result

    def scripted(self) -> Network:
        # Tracing and freezing copy the packed objects, which are of whoever the mode says.
        with self.mode():
            traced = torch.jit.trace(self.module, self.image)
            return dataclasses.replace(self, module=torch.jit.freeze(traced.eval()))


def contestants(name: str, engine: str, stock_engine: str) -> dict[str, Network]:
    """By form and mode, as "module off"."""
    image = torch.randn(
        1, 3, networks.SIZE, networks.SIZE, generator=torch.Generator().manual_seed(1)
    )
    stock = networks.quantized(name, stock_engine)
    with qconv.enabled(engine=engine):
        ours = copy.deepcopy(stock)
    found = {}
    for mode, module in (("off", stock), ("on", ours)):
        network = Network(module, image, mode == "on")
        found[f"module {mode}"] = network
        with qconv.enabled(engine=engine) if mode == "on" else nullcontext():
            found[f"torchscript {mode}"] = network.scripted()
    return found


def measure(name: str, engine: str, stock_engine: str, sampling: Sampling) -> dict[str, Any]:
    """Milliseconds with the mode off and on, their ratio, and how far the outputs are apart."""
    runners = contestants(name, engine, stock_engine)
    outputs = {key: runner.output() for key, runner in runners.items()}
    times = interleaved(runners, sampling)
    result: dict[str, Any] = {}
    for form in FORMS:
        off, on = f"{form} off", f"{form} on"
        difference = (outputs[off] - outputs[on]).abs().max() / outputs[off].abs().max()
        result[form] = {
            "off_ms": rounded(Spread.of([value / 1000 for value in times[off]])),
            "on_ms": rounded(Spread.of([value / 1000 for value in times[on]])),
            "ratio": rounded(ratios({off: times[off], on: times[on]}, on)[off]),
            "difference": round(float(difference), 4),
        }
    return result


def table(measured: dict[str, Any]) -> tables.Rows:
    head = ["network", "form", "off, ms", "on, ms", "off / on", "difference"]
    rows = tables.Rows("whole networks, drop-in mode off and on", head)
    for name, forms in measured.items():
        for form, found in forms.items():
            spreads = [found[key] for key in ("off_ms", "on_ms", "ratio")]
            cells = [f"{s['median']:.2f} ±{(s['high'] - s['low']) / 2:.2f}" for s in spreads]
            rows.body.append([name, form, *cells, f"{found['difference']:.1%}"])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--networks", default=",".join(networks.NETWORKS), help="comma-separated; default: all")
    add("--engine", default="auto", help="that drop-in mode packs with; default auto")
    add("--stock-engine", choices=STOCK_ENGINES, default="x86", help="of PyTorch; default x86")
    add("--quick", action="store_true", help="3 short rounds: figures are rough")
    add("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    options = parser.parse_args()
    names = options.networks.split(",")
    if unknown := set(names) - set(networks.NETWORKS):
        sys.exit(f"--networks may be {', '.join(networks.NETWORKS)}, got {', '.join(unknown)}")
    warnings.simplefilter("ignore")  # PyTorch's about quantized tensors and TorchScript
    torch.set_num_threads(1)

    sampling = SAMPLING["quick" if options.quick else "full"]
    result = {
        "facts": facts(),
        "settings": {
            "engine": options.engine,
            "stock_engine": options.stock_engine,
            "threads": 1,
            "batch": 1,
            "isa": None,
            "sampling": dataclasses.asdict(sampling),
        },
        "networks": {
            name: measure(name, options.engine, options.stock_engine, sampling) for name in names
        },
    }
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))
    console = Console(width=None if sys.stdout.isatty() else 240)
    for line in tables.fact_lines(result):
        console.print(line, highlight=False, soft_wrap=True)
    table(result["networks"]).print(console)
    console.print(
        "Medians of rounds, ± half their interquartile range; off / on is taken in each round. "
        "Difference: the largest of the outputs', of the largest output.",
        highlight=False,
        soft_wrap=True,
    )


if __name__ == "__main__":
    main()
