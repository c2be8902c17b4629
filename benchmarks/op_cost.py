"""What a run op costs beyond its kernel: microseconds of ops on a layer with next to no work.

    python benchmarks/op_cost.py [--engine auto] [--json FILE]

The layer has 8 input and 8 output channels, a 1x1 kernel and a 1x1 image: 64 multiply-adds. Beside
this package's ops stand PyTorch's, and three ops that do little more than allocate an output,
which is what any op costs that is called from Python. Rounds are interleaved; "beyond" is the
difference to `aten.relu` in the same rounds. "drop-in" is PyTorch's op with drop-in mode on, on an
object of this package and on one of PyTorch's.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import warnings
from pathlib import Path
from typing import Any

import tables
import torch
from machine import facts
from problem import Problem, make_problem
from rich.console import Console
from suites import Layer
from timing import FULL, QUICK, Call, Spread, interleaved

import torch_qconv_prepack as qconv

LAYER = Layer("conv2d", 1, 8, 8, 1, (1, 1), (1, 1), (0, 0), (1, 1), (1, 1))
BASELINE = "aten.relu, uint8"
STOCK_ENGINES = ("x86", "onednn", "fbgemm", "qnnpack")


class DropInCall(Call):
    """A call that is timed with drop-in mode on."""

    def time_block(self, repetitions: int) -> float:
        with qconv.enabled():
            return super().time_block(repetitions)


def calls(engine: str) -> dict[str, Call]:
    problem = make_problem(LAYER)
    found = {
        **_baselines(problem),
        "ours: conv2d_relu": _quantized(problem, torch.ops.torch_qconv_prepack, engine=engine),
        "ours: qconv_pointwise": _plain(problem, torch.ops.torch_qconv_prepack),
    }
    for name in STOCK_ENGINES:
        torch.backends.quantized.engine = name
        stock = _quantized(problem, torch.ops.quantized)
        found[f"stock {name}: conv2d_relu"] = stock
        if name == "x86":
            found["drop-in: conv2d_relu, stock x86's object"] = DropInCall(
                stock.function, stock.arguments
            )
    with qconv.enabled(engine=engine):
        ours = _quantized(problem, torch.ops.quantized)
    found["drop-in: conv2d_relu"] = DropInCall(ours.function, ours.arguments)
    if hasattr(torch.ops.onednn, "qconv_pointwise"):
        found["stock: onednn.qconv_pointwise"] = _plain(problem, torch.ops.onednn)
    return {name: call for name, call in found.items() if _runs(call)}


def _baselines(problem: Problem) -> dict[str, Call]:
    x = problem.activation
    return {
        BASELINE: Call(torch.ops.aten.relu.default, (x.int_repr(),)),
        "aten.relu, quint8": Call(torch.ops.aten.relu.default, (x,)),
        "aten.empty_like, uint8": Call(torch.ops.aten.empty_like.default, (x.int_repr(),)),
    }


def _quantized(problem: Problem, namespace: Any, **keywords: str) -> Call:
    packed = namespace.conv2d_prepack(*problem.pack_arguments, **keywords)
    arguments = (problem.activation, packed, problem.output_scale, problem.output_zero_point)
    return Call(namespace.conv2d_relu, arguments)


def _plain(problem: Problem, namespace: Any) -> Call:
    """The op on plain tensors, whose engine is the default one."""
    x, w = problem.activation, problem.weight
    scales, zero_points = w.q_per_channel_scales().float(), w.q_per_channel_zero_points().int()
    ones, zeros = [1, 1], [0, 0]
    geometry = (ones, zeros, ones, 1)
    quantization = (x.q_scale(), x.q_zero_point())
    packed = namespace.qconv_prepack(
        w.int_repr(),
        scales,
        *quantization,
        *geometry,
        x.shape if namespace is torch.ops.onednn else None,
    )
    output = (problem.output_scale, problem.output_zero_point, torch.uint8)
    arguments = (
        *(x.int_repr(), *quantization, packed, scales, zero_points, problem.bias),
        *(*geometry, *output, "relu", [], None),
    )
    return Call(namespace.qconv_pointwise, arguments)


def _runs(call: Call) -> bool:
    try:
        call.time_block(1)
    except (RuntimeError, NotImplementedError):
        return False
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--engine", default="auto", help="of this package; default auto")
    parser.add_argument("--quick", action="store_true", help="3 short rounds")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)

    sampling = QUICK if options.quick else dataclasses.replace(FULL, rounds=25)
    times = interleaved(calls(options.engine), sampling)
    result = {
        "facts": facts(),
        "settings": {
            "engine": options.engine,
            "threads": 1,
            "batch": 1,
            "isa": None,
            "sampling": dataclasses.asdict(sampling),
        },
        "ops": {name: _figures(rounds, times[BASELINE]) for name, rounds in times.items()},
    }
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))
    console = Console()
    for line in tables.fact_lines(result):
        console.print(line, highlight=False, soft_wrap=True)
    tables.op_cost_table(result).print(console)


def _figures(rounds: list[float], baseline: list[float]) -> dict[str, dict[str, float]]:
    beyond = [a - b for a, b in zip(rounds, baseline, strict=True)]
    return {
        "microseconds": dataclasses.asdict(Spread.of(rounds)),
        "beyond_relu": dataclasses.asdict(Spread.of(beyond)),
    }


if __name__ == "__main__":
    main()
