"""Biases that no convolution can add are refused by the prepack ops, with the reason."""

from __future__ import annotations

import math

import pytest
import torch
from bad_input import (
    CONV_TRANSPOSE2D,
    OUT_CHANNELS,
    Kind,
    assert_raises,
    every_kind,
    qint8,
    quantized,
    with_storage,
)
from torch import Tensor

PLAIN_DTYPES = (
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.int32,
    torch.int64,
    torch.uint8,
    torch.bool,
    torch.complex64,
)
QUANTIZED_DTYPES = (torch.qint8, torch.quint8, torch.qint32)


@every_kind
@pytest.mark.parametrize("dtype", [*PLAIN_DTYPES, *QUANTIZED_DTYPES], ids=str)
def test_dtype_is_float32(kind: Kind, dtype: torch.dtype) -> None:
    if dtype in QUANTIZED_DTYPES:
        bias = quantized((OUT_CHANNELS,), dtype)
    else:
        bias = torch.ones(OUT_CHANNELS, dtype=dtype)
    start = f"{kind}_prepack: bias must have dtype torch.float32, got {dtype}; "
    assert_raises(TypeError, start, lambda: kind.prepack(bias=bias))


@every_kind
@pytest.mark.parametrize("shape", [(), (0,), (1,), (7,), (9,), (8, 1), (1, 8), (2, 4)], ids=str)
def test_shape_is_one_element_per_output_channel(kind: Kind, shape: tuple[int, ...]) -> None:
    start = (
        f"{kind}_prepack: bias must have one dimension with out_channels = {OUT_CHANNELS} elements"
        f", got size {list(shape)}"
    )
    assert_raises(ValueError, start, lambda: kind.prepack(bias=torch.ones(shape)))


def test_output_channels_of_a_transposed_weight_are_those_of_all_groups() -> None:
    weight = qint8((4, 3, 3, 3))
    assert CONV_TRANSPOSE2D.prepack(weight=weight, bias=torch.ones(6), groups=2).groups() == 2
    start = "conv_transpose2d_prepack: bias must have one dimension with out_channels = 6 elements"
    for length in (3, 4, 12):
        bias = torch.ones(length)
        assert_raises(
            ValueError,
            start,
            lambda b=bias: CONV_TRANSPOSE2D.prepack(weight=weight, bias=b, groups=2),
        )


@every_kind
@pytest.mark.parametrize("channel", [0, 5, OUT_CHANNELS - 1])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_values_are_finite(kind: Kind, value: float, channel: int) -> None:
    bias = torch.ones(OUT_CHANNELS)
    bias[channel] = value
    start = f"{kind}_prepack: bias must be finite, got {value} for channel {channel}"
    assert_raises(ValueError, start, lambda: kind.prepack(bias=bias))


@every_kind
def test_memory_is_dense_and_on_the_cpu(kind: Kind) -> None:
    ones = torch.ones(OUT_CHANNELS)
    refused: dict[str, tuple[type[Exception], Tensor]] = {
        "be a dense tensor, got layout Sparse": (TypeError, ones.to_sparse()),
        "be on the CPU, got a tensor on device meta": (ValueError, ones.to("meta")),
    }
    for reason, (error, bias) in refused.items():
        start = f"{kind}_prepack: bias must {reason}"
        assert_raises(error, start, lambda b=bias: kind.prepack(bias=b))


@every_kind
@pytest.mark.parametrize("nbytes", [0, 4, 4 * OUT_CHANNELS - 1])
def test_elements_lie_inside_the_storage(kind: Kind, nbytes: int) -> None:
    bias = with_storage(torch.ones(OUT_CHANNELS), nbytes)
    start = (
        f"{kind}_prepack: bias of size [8] and strides [1] must lie inside its storage of {nbytes} "
    )
    assert_raises(ValueError, start, lambda: kind.prepack(bias=bias))
