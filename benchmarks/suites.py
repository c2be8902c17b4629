"""The layers of networks that the benchmarks time: shapes alone, read from suites/*.csv."""

from __future__ import annotations

import argparse
import csv
import math
import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).with_name("suites")

Sizes = tuple[int, ...]


@dataclass(frozen=True)
class Layer:
    """One convolution. Sizes have a number for each spatial dimension.

    op: the run op without a suffix, as "conv2d" or "conv_transpose2d".
    count: how many layers of its network have this shape.
    """

    op: str
    count: int
    in_channels: int
    out_channels: int
    groups: int
    kernel: Sizes
    stride: Sizes
    padding: Sizes
    dilation: Sizes
    input_size: Sizes

    @property
    def transposed(self) -> bool:
        return self.op.startswith("conv_transpose")

    @property
    def depthwise(self) -> bool:
        return self.groups == self.in_channels > 1

    @property
    def name(self) -> str:
        """Unique in a suite, as "64->256 1x1 @56x56"; strides, dilations and groups of 1 are left
        out."""
        parts = [
            *([] if self.op == "conv2d" else [self.op]),
            f"{self.in_channels}->{self.out_channels}",
            "x".join(map(str, self.kernel)),
            *([f"/{_short(self.stride)}"] if max(self.stride) > 1 else []),
            *([f"d{_short(self.dilation)}"] if max(self.dilation) > 1 else []),
            *([f"dw{self.groups}" if self.depthwise else f"g{self.groups}"] * (self.groups > 1)),
            "@" + "x".join(map(str, self.input_size)),
        ]
        return " ".join(parts)

    @property
    def output_size(self) -> Sizes:
        windows = (d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True))
        sizes = zip(self.input_size, windows, self.stride, self.padding, strict=True)
        if self.transposed:
            return tuple((i - 1) * s + window - 2 * p for i, window, s, p in sizes)
        return tuple((i + 2 * p - window) // s + 1 for i, window, s, p in sizes)

    @property
    def weight_shape(self) -> Sizes:
        if self.transposed:
            return (self.in_channels, self.out_channels // self.groups, *self.kernel)
        return (self.out_channels, self.in_channels // self.groups, *self.kernel)

    @property
    def weight_bytes(self) -> int:
        return math.prod(self.weight_shape)

    def multiply_adds(self, batch: int = 1) -> int:
        """As an image without padding has them: one for each weight and position."""
        positions = self.input_size if self.transposed else self.output_size
        return batch * math.prod(positions) * self.weight_bytes

    def bytes_moved(self, batch: int = 1) -> int:
        """Input, weight and output, each once: the least that a convolution reads and writes."""
        inputs = self.in_channels * math.prod(self.input_size)
        outputs = self.out_channels * math.prod(self.output_size)
        return batch * (inputs + outputs) + self.weight_bytes


def _short(sizes: Sizes) -> str:
    """One number where all are the same."""
    return str(sizes[0]) if len(set(sizes)) == 1 else "x".join(map(str, sizes))


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.csv"))


def list_of_names(text: str) -> list[str]:
    """Names of suites, separated by commas; for argparse."""
    found = text.split(",")
    if unknown := set(found) - set(names()):
        raise argparse.ArgumentTypeError(
            f"must be of {', '.join(names())}, got {', '.join(sorted(unknown))}"
        )
    return found


def load(suite: str, pattern: str = "") -> list[Layer]:
    """The layers of a suite whose names match a regular expression, in the network's order."""
    lines = (FOLDER / f"{suite}.csv").read_text().splitlines()
    rows = csv.DictReader(line for line in lines if line and not line.startswith("#"))
    return [layer for layer in map(_layer, rows) if re.search(pattern, layer.name)]


def _layer(row: dict[str, str]) -> Layer:
    op = row["op"]
    dims = int(op[-2])

    def sizes(column: str) -> Sizes:
        numbers = tuple(map(int, row[column].split("x")))
        return numbers * dims if len(numbers) == 1 else numbers

    return Layer(
        op=op,
        count=int(row["count"]),
        in_channels=int(row["in"]),
        out_channels=int(row["out"]),
        groups=int(row["groups"]),
        kernel=sizes("kernel"),
        stride=sizes("stride"),
        padding=sizes("padding"),
        dilation=sizes("dilation") if "dilation" in row else (1,) * dims,
        input_size=sizes("input"),
    )
