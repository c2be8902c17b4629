"""The rows of the feature matrix, and what may come of one. Needs PyTorch alone."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from comparison import compare
from conv_case import ConvCase, ConvData
from op_calls import Ops
from reference import Expected
from torch import Tensor

DEPTHWISE = "depthwise"
CHANNELS = (6, 10)
SIZES, KERNEL = (7, 5, 4), (3, 2, 3)


@dataclass(frozen=True)
class Features:
    """A row of the matrix; it stands for 1-D, 2-D and 3-D, with and without bias, and every op."""

    transposed: bool
    per_channel: bool
    zero_points: bool
    groups: int | str
    dilation: int
    output_padding: int

    def case(self, dims: int, bias: bool) -> ConvCase:
        depthwise = self.groups == DEPTHWISE
        in_channels, out_channels = (8, 8) if depthwise else CHANNELS
        return ConvCase(
            f"{self.name} {dims}-D",
            dims=dims,
            transposed=self.transposed,
            in_channels=in_channels,
            out_channels=out_channels,
            input_size=SIZES[:dims],
            kernel=KERNEL[:dims],
            stride=(2,) * dims,
            padding=(1,) * dims,
            output_padding=(self.output_padding,) * dims,
            dilation=(self.dilation,) * dims,
            groups=8 if depthwise else int(self.groups),
            per_channel=self.per_channel,
            weight_zero_points=self.zero_points,
            bias=bias,
            full_range=True,
            batch=2,
        )

    @property
    def name(self) -> str:
        parts = [
            "transposed" if self.transposed else "forward",
            "per channel" if self.per_channel else "per tensor",
            *(["weight zero points"] if self.zero_points else []),
            *([DEPTHWISE] if self.groups == DEPTHWISE else []),
            *([f"{self.groups} groups"] if self.groups not in (1, DEPTHWISE) else []),
            *([f"dilation {self.dilation}"] if self.dilation > 1 else []),
            *(["output padding"] if self.output_padding else []),
        ]
        return ", ".join(parts)


def all_features() -> Iterator[Features]:
    switches = (False, True)
    for transposed, per_channel, zero_points, groups, dilation in itertools.product(
        switches, switches, switches, (1, 2, DEPTHWISE), (1, 2)
    ):
        for output_padding in (0, 1) if transposed else (0,):
            yield Features(transposed, per_channel, zero_points, groups, dilation, output_padding)


@dataclass
class Outcome:
    """What came of one engine on one row and number of dimensions.

    refusal: the reason, where it refuses. wrong: the ops that returned a wrong result. worst: the
    largest difference from the float64 reference, in quanta. death: how the process died.
    """

    refusal: str | None = None
    worst: int = 0
    wrong: list[str] = field(default_factory=list)
    death: str | None = None

    @property
    def status(self) -> str:
        """The worst that happened: "dies", "wrong", "refuses" or "right"."""
        if self.death:
            return "dies"
        return "wrong" if self.wrong else "refuses" if self.refusal else "right"


class Held(NamedTuple):
    """One output beside the reference. worst: the largest difference, in quanta."""

    op: str
    right: bool
    worst: int

    @classmethod
    def of(cls, op: str, actual: Tensor, expected: Expected) -> Held:
        difference = compare(actual, expected)
        return cls(op, difference.acceptable, difference.worst)


@dataclass(frozen=True)
class Row:
    """A row of a table: what `check` yields of a set of ops, for each number of dimensions."""

    name: str
    check: Callable[[Ops, int], Iterator[Held]]

    def outcome(self, ops: Ops, dims: int) -> Outcome:
        """A refusal ends the check; it is told only where nothing was wrong before."""
        outcome = Outcome()
        try:
            for held in self.check(ops, dims):
                outcome.worst = max(outcome.worst, held.worst)
                if not held.right:
                    outcome.wrong.append(held.op)
        except (RuntimeError, ValueError) as error:
            outcome.refusal = str(error).splitlines()[0]
        return outcome


def held(ops: Ops, data: ConvData, actual: Tensor, suffix: str = "") -> Held:
    """A quantized output of the plain op or the one with "_relu"."""
    return Held.of(suffix, actual, data.expected(suffix == "_relu", ops.rounding))


def shape_row(features: Features) -> Row:
    """The plain op and the one with "_relu", if there is one, each on an object of its own."""

    def check(ops: Ops, dims: int) -> Iterator[Held]:
        for bias in (False, True):
            data = features.case(dims, bias).data()
            for suffix in ("",) if features.transposed else ("", "_relu"):
                yield held(ops, data, ops.run(data, ops.pack(data), suffix), suffix)

    return Row(features.name, check)
