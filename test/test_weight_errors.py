"""Weights that are no int8 convolution weight are refused by the prepack ops, with the reason."""

from __future__ import annotations

import pytest
import torch
from bad_input import (
    CONV2D,
    CONV_TRANSPOSE2D,
    FORWARD,
    Kind,
    assert_raises,
    every_kind,
    message,
    per_channel,
    qint8,
    quantized,
    with_storage,
)
from torch import Tensor


@every_kind
def test_rank_is_that_of_the_op(kind: Kind) -> None:
    for rank in set(range(7)) - {kind.dims + 2}:
        weight = qint8([4] * rank)
        text = message(ValueError, lambda w=weight: kind.prepack(weight=w))
        assert text.startswith(f"{kind}_prepack: weight must have {kind.dims + 2} dimensions"), text
        assert text.endswith(f"got {rank} ({[4] * rank})"), text


@every_kind
@pytest.mark.parametrize("empty", [(0,), (1,), (2,), (0, 1), (0, 1, 2)], ids=str)
@pytest.mark.parametrize("scheme", ["per_tensor", "per_channel"])
def test_no_dimension_is_empty(kind: Kind, empty: tuple[int, ...], scheme: str) -> None:
    shape = [0 if i in empty else n for i, n in enumerate(kind.weight_shape)]
    weight = qint8(shape) if scheme == "per_tensor" else per_channel(shape, int(kind.transposed))
    start = f"{kind}_prepack: weight must have no empty dimension, got {shape}"
    assert_raises(ValueError, start, lambda: kind.prepack(weight=weight))


def test_dimension_beyond_2_to_the_31_is_not_called_empty() -> None:
    weight = qint8((1, 1, 1, 1)).expand(2**32, 1, 1, 1)
    text = message(ValueError, lambda: CONV2D.prepack(weight=weight))
    assert text.startswith("conv2d_prepack: weight must")
    assert "2^31" in text
    assert "empty" not in text


@pytest.mark.parametrize(
    "shape", [(2**15, 2**15, 1, 1), (2**30, 2**30, 1, 1), (1, 1, 2**30, 2**30)], ids=str
)
@pytest.mark.parametrize("kind", [CONV2D, CONV_TRANSPOSE2D], ids=str)
def test_more_elements_than_the_engine_counts_are_not_implemented(
    kind: Kind, shape: tuple[int, ...]
) -> None:
    weight = qint8((1, 1, 1, 1)).expand(shape)  # one byte in memory
    start = f"{kind}_prepack: engine auto can't run this {kind} ("
    assert_raises(NotImplementedError, start, lambda: kind.prepack(weight=weight))


@pytest.mark.parametrize("kind", FORWARD, ids=str)
def test_sums_that_could_leave_int32_are_not_implemented(kind: Kind) -> None:
    def weight(length: int, value: int, zero_point: int = 0) -> Tensor:
        values = torch.full((1, length, *[1] * kind.dims), value, dtype=torch.int8)
        return torch._make_per_tensor_quantized_tensor(values, 0.1, zero_point)

    # Activations are up to 255 from their zero point: 66,311 * 127 * 255 is just below 2^31.
    for length, value in ((66_310, 127), (65_790, -128)):
        kind.prepack(weight=weight(length, value))
    start = f"{kind}_prepack: no engine can run this weight exactly: the absolute "
    # The zero point may double the distance from zero.
    for arguments in ((66_313, 127), (65_795, -128), (33_100, -128, 127), (70_000, -127)):
        too_long = weight(*arguments)
        assert_raises(NotImplementedError, start, lambda w=too_long: kind.prepack(weight=w))


def dtypes(shape: tuple[int, ...]) -> dict[str, Tensor]:
    plain = (torch.float32, torch.float64, torch.float16, torch.int8, torch.uint8, torch.bool)
    quantized_dtypes = (torch.quint8, torch.qint32)
    return {
        **{str(dtype): torch.ones(shape, dtype=dtype) for dtype in plain},
        **{str(dtype): quantized(shape, dtype) for dtype in quantized_dtypes},
    }


@every_kind
@pytest.mark.parametrize("dtype", dtypes((1,)))
def test_dtype_is_qint8(kind: Kind, dtype: str) -> None:
    weight = dtypes(kind.weight_shape)[dtype]
    start = f"{kind}_prepack: weight must have dtype torch.qint8, got {dtype}; "
    assert_raises(TypeError, start, lambda: kind.prepack(weight=weight))


@every_kind
def test_weight_is_a_tensor(kind: Kind) -> None:
    start = f"{kind}_prepack: weight must be a tensor, got None"
    assert_raises(TypeError, start, lambda: kind.prepack(weight=None))


@every_kind
def test_layout_is_dense(kind: Kind) -> None:
    dense = torch.ones(kind.weight_shape)
    for layout, weight in {"Sparse": dense.to_sparse(), "Mkldnn": dense.to_mkldnn()}.items():
        start = f"{kind}_prepack: weight must be a dense tensor, got layout {layout}"
        assert_raises(TypeError, start, lambda w=weight: kind.prepack(weight=w))


@every_kind
def test_device_is_the_cpu(kind: Kind) -> None:
    floats = torch.ones(kind.weight_shape, device="meta")
    for weight in (floats, torch.quantize_per_tensor(floats, 0.1, 0, torch.qint8)):
        start = f"{kind}_prepack: weight must be on the CPU, got a tensor on device meta"
        assert_raises(ValueError, start, lambda w=weight: kind.prepack(weight=w))


def test_weight_without_data_is_not_told_to_move_its_data() -> None:
    weight = torch.ones(CONV2D.weight_shape, device="meta")
    # Which fails on a meta tensor.
    assert ".cpu()" not in message(ValueError, lambda: CONV2D.prepack(weight=weight))


@every_kind
def test_elements_lie_inside_the_storage(kind: Kind) -> None:
    needed = qint8(kind.weight_shape).numel()
    kind.prepack(weight=with_storage(qint8(kind.weight_shape), needed))
    for nbytes in (0, 1, needed - 1):
        weight = with_storage(qint8(kind.weight_shape), nbytes)
        text = message(ValueError, lambda w=weight: kind.prepack(weight=w))
        assert text.startswith(f"{kind}_prepack: weight of size {list(kind.weight_shape)} and ")
        assert f"must lie inside its storage of {nbytes} bytes" in text
