"""Every feature of the convolutions on every engine of this package: does it work, and how exactly?

`make matrix` writes docs/feature_matrix.md of it (matrix_page.py); test_feature_matrix.py runs the
same and holds the page to it.
"""

from __future__ import annotations

from pathlib import Path

import torch
from comparison import compare
from conv_case import ConvData
from dynamic_reference import dynamic_conv, dynamic_tolerance
from features import Features, Outcome, all_features
from matrix_rows import SECTIONS
from op_calls import Ops
from ops import kind, op, pack, run
from sums import addend_of, expected_sum

import torch_qconv_prepack as qconv

PAGE = Path(__file__).parents[1] / "docs" / "feature_matrix.md"


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


def run_native(section: str) -> dict[str, list[Outcome]]:
    """What the native engine makes of a section's rows in 1-D, 2-D and 3-D."""
    torch.set_num_threads(1)
    ops = Ops("torch_qconv_prepack", "native")
    # The ops on plain tensors have no argument engine=.
    with qconv.engine("native"):
        return {
            name: [row.outcome(ops, dims) for dims in (1, 2, 3)]
            for name, row in SECTIONS[section].rows.items()
        }
