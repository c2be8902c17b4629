"""Inputs that a run op can't take are refused, with the reason."""

from __future__ import annotations

import ops
import pytest
import torch
from bad_input import (
    CONV1D,
    CONV2D,
    CONV_TRANSPOSE1D,
    IN_CHANNELS,
    Kind,
    assert_raises,
    assert_refused,
    every_run_op,
    message,
    quantized,
    quint8,
    with_storage,
)
from torch import Tensor


@every_run_op
def test_rank_is_that_of_the_op(kind: Kind, suffix: str) -> None:
    for rank in set(range(7)) - {kind.dims + 2}:
        text = f"input must have {kind.dims + 2} dimensions [batch, channels, spatial...], got "
        assert_refused(kind, suffix, ValueError, f"{text}{rank} ", quint8([4] * rank))


@every_run_op
@pytest.mark.parametrize("channels", [0, 1, 3, 5, 8])
def test_channels_are_those_of_the_weight(kind: Kind, suffix: str, channels: int) -> None:
    shape = [1, channels, *[6] * kind.dims]
    text = f"input must have {IN_CHANNELS} channels, got {channels} (size {shape})"
    assert_refused(kind, suffix, ValueError, text, quint8(shape))


@every_run_op
@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, torch.uint8, torch.int8, torch.int32, torch.qint32]
)
def test_dtype_is_quint8_or_qint8(kind: Kind, suffix: str, dtype: torch.dtype) -> None:
    shape = kind.input_shape
    x = quantized(shape, dtype) if dtype == torch.qint32 else torch.ones(shape, dtype=dtype)
    text = f"input must have dtype torch.quint8 or torch.qint8, got {dtype}; quantize a float "
    assert_refused(kind, suffix, TypeError, text, x)


@every_run_op
def test_input_is_a_dense_tensor_on_the_cpu(kind: Kind, suffix: str) -> None:
    floats = torch.ones(kind.input_shape)
    meta = floats.to("meta")
    refused: list[tuple[type[Exception], str, Tensor | None]] = [
        (TypeError, "be a tensor, got None", None),
        (TypeError, "be a dense tensor, got layout Sparse", floats.to_sparse()),
        (ValueError, "be on the CPU, got a tensor on device meta", meta),
        (
            ValueError,
            "be on the CPU, got a tensor on device meta",
            torch.quantize_per_tensor(meta, 0.1, 0, torch.quint8),
        ),
    ]
    op, params = ops.op(f"{kind}{suffix}"), kind.prepack()
    for error, reason, x in refused:
        start = f"{kind}{suffix}: input must {reason}"
        assert_raises(error, start, lambda x=x: op(x, params, 0.1, 3))


@every_run_op
def test_scheme_is_per_tensor(kind: Kind, suffix: str) -> None:
    floats = torch.ones(kind.input_shape)
    for dtype, scheme in (
        (torch.float64, "per_channel_affine"),
        (torch.float32, "per_channel_affine_float_qparams"),
    ):
        zero_points = torch.zeros(4, dtype=torch.int64 if dtype == torch.float64 else dtype)
        scales = torch.ones(4, dtype=dtype)
        x = torch.quantize_per_channel(floats, scales, zero_points, 1, torch.quint8)
        text = f"input must be quantized per_tensor_affine, got {scheme}"
        assert_refused(kind, suffix, ValueError, text, x)
        assert x.qscheme() == getattr(torch, scheme)


@every_run_op
def test_input_that_was_never_quantized_is_refused(kind: Kind, suffix: str) -> None:
    # Its dtype is quint8, but no scheme, scale or zero point was ever set.
    x = torch.empty(kind.input_shape, dtype=torch.quint8)
    assert_refused(kind, suffix, ValueError, "input must be quantized", x)


@every_run_op
def test_elements_lie_inside_the_storage(kind: Kind, suffix: str) -> None:
    needed = quint8(kind.input_shape).numel()
    kind.call(suffix, kind.prepack(), with_storage(quint8(kind.input_shape), needed))
    for nbytes in (0, 1, needed - 1):
        x = with_storage(quint8(kind.input_shape), nbytes)
        text = f"input of size {list(kind.input_shape)} and strides "
        assert_refused(kind, suffix, ValueError, text, x)


def test_input_without_data_is_not_told_to_move_its_data() -> None:
    x = torch.ones(CONV2D.input_shape, device="meta")
    # Which fails on a meta tensor.
    assert ".cpu()" not in message(ValueError, lambda: CONV2D.call("", CONV2D.prepack(), x))


@pytest.mark.parametrize("kind", [CONV1D, CONV_TRANSPOSE1D], ids=str)
def test_keyword_arguments_are_those_of_the_schema(kind: Kind) -> None:
    y = ops.op(str(kind))(
        qx=quint8(kind.input_shape),
        packed_weight=kind.prepack(),
        output_scale=0.5,
        output_zero_point=7,
    )
    assert (y.q_scale(), y.q_zero_point()) == (0.5, 7)
