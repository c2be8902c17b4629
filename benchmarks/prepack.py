"""Times prepacking of this package's engines beside PyTorch's, interleaved, in one process.

    python benchmarks/prepack.py [--threads 1] [--rounds 15] [--json FILE]

Each round times every contestant once; the table shows the median and half the interquartile range
over the rounds, in microseconds, and the ratio to PyTorch's fbgemm engine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

import torch_qconv_prepack as qconv

# out_channels, in_channels, kernel side, groups, per channel
LAYERS = (
    (64, 3, 7, 1, True),
    (64, 64, 3, 1, True),
    (256, 64, 1, 1, True),
    (512, 512, 3, 1, True),
    (512, 512, 3, 1, False),
    (2048, 1024, 1, 1, True),
    (576, 576, 3, 576, True),
    (1024, 1024, 3, 32, True),
)
STOCK_ENGINES = ("fbgemm", "x86")


def make_weight(layer: tuple[int, int, int, int, bool]) -> torch.Tensor:
    out_channels, in_channels, side, groups, per_channel = layer
    shape = (out_channels, in_channels // groups, side, side)
    values = torch.randint(-127, 128, shape, dtype=torch.int8)
    if not per_channel:
        return torch._make_per_tensor_quantized_tensor(values, 0.01, 0)
    zero_points = torch.zeros(out_channels, dtype=torch.long)
    return torch._make_per_channel_quantized_tensor(
        values, torch.full((out_channels,), 0.01, dtype=torch.double), zero_points, 0
    )


def contestants(layer: tuple[int, int, int, int, bool]) -> dict[str, Callable[[], Any]]:
    weight, bias = make_weight(layer), torch.zeros(layer[0])
    arguments = (weight, bias, [1, 1], [0, 0], [1, 1], layer[3])

    def stock(engine: str) -> Callable[[], Any]:
        def pack() -> Any:
            torch.backends.quantized.engine = engine
            return torch.ops.quantized.conv2d_prepack(*arguments)

        return pack

    ours = torch.ops.torch_qconv_prepack.conv2d_prepack
    return {
        "fbgemm (ours)": lambda: ours(*arguments, engine="fbgemm"),
        **{f"stock {engine}": stock(engine) for engine in STOCK_ENGINES},
    }


def measure(packers: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Microseconds per contestant and round, after one round of warming up."""
    times: dict[str, list[float]] = {name: [] for name in packers}
    for _ in range(rounds + 1):
        for name, pack in packers.items():
            start = time.perf_counter()
            pack()
            times[name].append((time.perf_counter() - start) * 1e6)
    return {name: values[1:] for name, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(options.threads)

    records = []
    table = Table("layer", "KB", *contestants(LAYERS[0]), "stock fbgemm / ours")
    for layer in LAYERS:
        name = "{}x{} {}x{} g{} {}".format(
            layer[0], layer[1], layer[2], layer[2], layer[3], "ch" if layer[4] else "ten"
        )
        times = measure(contestants(layer), options.rounds)
        medians = {who: statistics.median(values) for who, values in times.items()}
        cells = []
        for who, values in times.items():
            quarters = statistics.quantiles(values, n=4)
            cells.append(f"{medians[who]:.0f} ±{(quarters[2] - quarters[0]) / 2:.0f}")
        size = make_weight(layer).numel()
        ratio = medians["stock fbgemm"] / medians["fbgemm (ours)"]
        table.add_row(name, f"{size / 1000:.0f}", *cells, f"{ratio:.2f}")
        records.append({"layer": name, "weight_bytes": size, "microseconds": times})
    console = Console()
    console.print(table)
    machine = (
        f"torch {torch.__version__}, torch_qconv_prepack {qconv.__version__}, "
        f"{torch.backends.cpu.get_cpu_capability()}, {options.threads} threads, "
        f"median of {options.rounds} rounds, µs"
    )
    console.print(machine)
    if options.json:
        options.json.write_text(json.dumps({"machine": machine, "layers": records}, indent=1))


if __name__ == "__main__":
    main()
