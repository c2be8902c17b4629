"""Scales and zero points that a run op can't compute with are refused, by name."""

from __future__ import annotations

import math

import ops
import pytest
import torch
from bad_input import Kind, assert_raises, assert_refused, every_run_op, message, qint8, quint8
from comparison import assert_matches
from conv_case import ConvCase, ConvData

# float32 can't hold the last four with all its digits, or at all.
BAD_SCALES = (0.0, -0.0, -1.0, math.nan, math.inf, -math.inf, 1e-40, 1e-60, 1e39, 1e300)
BAD_ZERO_POINTS = (256, 300, -1, -5, 2**31, 2**40, -(2**62))


@every_run_op
@pytest.mark.parametrize("scale", BAD_SCALES)
def test_scales_are_positive_finite_and_normal(kind: Kind, suffix: str, scale: float) -> None:
    expected = "must be a positive, finite and normal float32 number, got "
    x = quint8(kind.input_shape, scale=scale)
    assert_refused(kind, suffix, ValueError, f"input scale {expected}", x)
    op, params, x = ops.op(f"{kind}{suffix}"), kind.prepack(), quint8(kind.input_shape)
    start = f"{kind}{suffix}: output_scale {expected}"
    assert_raises(ValueError, start, lambda: op(x, params, scale, 3))


@every_run_op
@pytest.mark.parametrize("zero_point", BAD_ZERO_POINTS)
def test_zero_points_are_uint8(kind: Kind, suffix: str, zero_point: int) -> None:
    expected = f"must be in [0, 255], got {zero_point}"
    x = quint8(kind.input_shape, zero_point=zero_point)
    assert_refused(kind, suffix, ValueError, f"input zero point {expected}", x)
    op, params, x = ops.op(f"{kind}{suffix}"), kind.prepack(), quint8(kind.input_shape)
    start = f"{kind}{suffix}: output_zero_point {expected}"
    assert_raises(ValueError, start, lambda: op(x, params, 0.1, zero_point))


@every_run_op
@pytest.mark.parametrize("zero_point", [0, 255])
def test_outermost_zero_points_run(kind: Kind, suffix: str, zero_point: int) -> None:
    x = quint8(kind.input_shape, zero_point=zero_point)
    y = ops.op(f"{kind}{suffix}")(x, kind.prepack(), 0.1, zero_point)
    assert y.q_zero_point() == zero_point


# Input scale, weight scale, output scale: each is fine, and float32 can't hold what they make.
SCALES_OUT_OF_RANGE = (
    (1e-30, 1e-20, 1.0),
    (1e30, 1e20, 1e30),
    (1e-20, 1e-10, 1e20),
    (1e20, 1e10, 1e-20),
    (1e-20, 1e-19, 1e-30),
)


@every_run_op
@pytest.mark.parametrize("scales", SCALES_OUT_OF_RANGE, ids=str)
def test_scales_together_stay_in_float32(
    kind: Kind, suffix: str, scales: tuple[float, float, float]
) -> None:
    input_scale, weight_scale, output_scale = scales
    op, x = ops.op(f"{kind}{suffix}"), quint8(kind.input_shape, scale=input_scale)
    # An engine that computes with them in float32.
    params = kind.prepack(weight=qint8(kind.weight_shape, scale=weight_scale), engine="fbgemm")
    text = message(ValueError, lambda: op(x, params, output_scale, 3))
    assert "input scale * weight scale / output_scale must stay a normal float32 number" in text
    assert text.startswith(f"{kind}{suffix}: "), text


@pytest.mark.parametrize("scales", SCALES_OUT_OF_RANGE, ids=str)
def test_native_needs_no_float32_for_them(scales: tuple[float, float, float]) -> None:
    input_scale, weight_scale, output_scale = scales
    data = ConvCase("scales", bias=False, batch=2).data()
    x = torch._make_per_tensor_quantized_tensor(data.activation.int_repr(), input_scale, 77)
    weight = torch._make_per_tensor_quantized_tensor(data.weight.int_repr(), weight_scale, 0)
    data = ConvData(x, weight, None, data.geometry, output_scale, 3)
    assert_matches(ops.run(data, ops.pack(data, "native")), data.expected(engine="native"))
