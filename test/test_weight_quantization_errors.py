"""Quantization of a weight that makes no sense is refused by the prepack ops, by name."""

from __future__ import annotations

import math

import pytest
import torch
from bad_input import (
    CONV2D,
    KINDS,
    Kind,
    assert_raises,
    every_kind,
    message,
    per_channel,
    qint8,
    with_storage,
)

# float32 can't hold the last four with all its digits, or at all.
BAD_SCALES = (0.0, -0.0, -1.0, math.nan, math.inf, -math.inf, 1e-40, 1e-60, 1e39, 1e300)
BAD_ZERO_POINTS = (128, -129, 200, -300, 2**31 - 1, 2**40)


@pytest.mark.parametrize("name", ["scales", "zero_points"])
def test_parameters_of_channels_lie_inside_their_storage(name: str) -> None:
    weight = per_channel(CONV2D.weight_shape)
    with_storage(getattr(weight, f"q_per_channel_{name}")(), 0)
    start = f"conv2d_prepack: weight's {name.replace('_', ' ')} of size [8] and strides [1] must"
    assert_raises(ValueError, start, lambda: CONV2D.prepack(weight=weight))


@pytest.mark.parametrize("name", ["scales", "zero_points"])
def test_every_channel_has_parameters(name: str) -> None:
    weight = per_channel(CONV2D.weight_shape)
    getattr(weight, f"q_per_channel_{name}")().resize_(3)
    start = "conv2d_prepack: weight must have one scale and zero point for each of its 8 channels"
    assert_raises(ValueError, start, lambda: CONV2D.prepack(weight=weight))


def test_scheme_is_affine_with_integer_zero_points() -> None:
    floats = torch.ones(CONV2D.weight_shape)
    weight = torch.quantize_per_channel(floats, torch.ones(8), torch.ones(8), 0, torch.qint8)
    assert weight.qscheme() == torch.per_channel_affine_float_qparams
    start = "conv2d_prepack: weight must be quantized per_tensor_affine or per_channel_affine, got "
    assert_raises(
        ValueError,
        start + "per_channel_affine_float_qparams",
        lambda: CONV2D.prepack(weight=weight),
    )


@every_kind
def test_weight_that_was_never_quantized_is_refused(kind: Kind) -> None:
    # Its dtype is qint8, but no scheme, scale or zero point was ever set.
    weight = torch.empty(kind.weight_shape, dtype=torch.qint8)
    assert_raises(ValueError, f"{kind}_prepack: weight must", lambda: kind.prepack(weight=weight))


@pytest.mark.parametrize(
    ("kind", "axis"),
    [(k, a) for k in KINDS for a in range(k.dims + 2) if a != int(k.transposed)],
    ids=str,
)
def test_axis_is_that_of_the_output_channels(kind: Kind, axis: int) -> None:
    # Square, so that the number of scales fits whatever the axis.
    weight = per_channel([8, 8, *[8] * kind.dims], axis)
    expected = "1 (out_channels of a transposed convolution)" if kind.transposed else "0 ("
    start = f"{kind}_prepack: weight must be quantized along axis {expected}"
    text = message(ValueError, lambda: kind.prepack(weight=weight))
    assert text.startswith(start), text
    assert text.endswith(f"got axis {axis}"), text


@every_kind
@pytest.mark.parametrize("scale", BAD_SCALES)
@pytest.mark.parametrize("scheme", ["per_tensor", "per_channel"])
def test_scales_are_positive_finite_and_normal(kind: Kind, scale: float, scheme: str) -> None:
    shape = kind.weight_shape
    if scheme == "per_tensor":
        weight = qint8(shape, scale=scale)
    else:
        weight = per_channel(shape, int(kind.transposed), last_scale=scale)
    text = message(ValueError, lambda: kind.prepack(weight=weight))
    assert text.startswith(f"{kind}_prepack: weight scale"), text
    assert f"got {scale:g}".removesuffix(".0") in text, text


@every_kind
@pytest.mark.parametrize("zero_point", BAD_ZERO_POINTS)
@pytest.mark.parametrize("scheme", ["per_tensor", "per_channel"])
def test_zero_points_are_int8(kind: Kind, zero_point: int, scheme: str) -> None:
    shape = kind.weight_shape
    if scheme == "per_tensor":
        weight = qint8(shape, zero_point=zero_point)
    else:
        weight = per_channel(shape, int(kind.transposed), last_zero_point=zero_point)
    text = message(ValueError, lambda: kind.prepack(weight=weight))
    assert text.startswith(f"{kind}_prepack: weight zero point"), text
    assert f"must be in [-128, 127], got {zero_point}" in text, text


@pytest.mark.parametrize("bad", [{"last_scale": 0.0}, {"last_zero_point": 200}], ids=str)
def test_the_bad_channel_is_named(bad: dict[str, float]) -> None:
    weight = per_channel(CONV2D.weight_shape, **bad)
    text = message(ValueError, lambda: CONV2D.prepack(weight=weight))
    assert "of channel 7 must" in text, text
