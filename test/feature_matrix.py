"""Every feature of the convolutions on every engine: does it work, and how exactly?

`make matrix` writes docs/feature_matrix.md of it (matrix_page.py); test_feature_matrix.py runs the
same and holds the page to it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from comparison import compare
from conv_case import ConvCase, ConvData
from dynamic_reference import dynamic_conv, dynamic_tolerance
from ops import kind, op, pack, run
from sums import addend_of, expected_sum

import torch_qconv_prepack as qconv

PAGE = Path(__file__).parents[1] / "docs" / "feature_matrix.md"
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
    """What came of one engine on one row and number of dimensions, over bias and every op.

    refusal: the engine's reason, where it refuses. wrong: the ops that returned a wrong result.
    worst: the largest difference from the float64 reference, in quanta.
    """

    refusal: str | None = None
    worst: int = 0
    wrong: list[str] = field(default_factory=list)


def run_ops(data: ConvData, engine: str, outcome: Outcome) -> None:
    """Pack once and hold every op to the reference."""
    geometry = data.geometry
    params = pack(data, engine)
    used = params.engine()
    outputs = {}
    addend = addend_of(data, seed=1)
    name = kind(geometry.dims, geometry.transposed)
    for suffix in ("", "_relu"):
        relu = suffix == "_relu"
        outputs[suffix] = (run(data, params, suffix), data.expected(relu=relu, engine=used))
        y = op(f"{name}_add{suffix}")(
            data.activation, addend, params, data.output_scale, data.output_zero_point
        )
        outputs[f"_add{suffix}"] = (y, expected_sum(data, addend, relu, used))
    for suffix, (actual, expected) in outputs.items():
        difference = compare(actual, expected)
        outcome.worst = max(outcome.worst, difference.worst)
        if not difference.acceptable:
            outcome.wrong.append(f"{name}{suffix}")
    x = data.activation.dequantize()
    real = dynamic_conv(x, data.weight, data.bias, geometry)
    error = (op(f"{name}_dynamic")(x, params).double() - real).abs()
    if bool((error > dynamic_tolerance(real, data.bias, used)).any()):
        outcome.wrong.append(f"{name}_dynamic")


def outcome_of(features: Features, dims: int, engine: str) -> Outcome:
    outcome = Outcome()
    for bias in (False, True):
        try:
            run_ops(features.case(dims, bias).data(), engine, outcome)
        except NotImplementedError as error:
            outcome.refusal = str(error)
    return outcome


def engines() -> list[qconv.EngineInfo]:
    return [engine for engine in qconv.engines() if engine.available]


Matrix = dict[tuple[Features, str], list[Outcome]]


def run_all() -> Matrix:
    """Outcomes for 1-D, 2-D and 3-D of every row and available engine."""
    torch.set_num_threads(1)
    return {
        (features, engine.name): [outcome_of(features, dims, engine.name) for dims in (1, 2, 3)]
        for features in all_features()
        for engine in engines()
    }
