"""A run op does its work without calling torch: every call through the dispatcher would be felt."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from ops import ENGINES, op
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

import torch_qconv_prepack as qconv

every_engine = pytest.mark.parametrize("engine", ENGINES)

# Sizes of activations, one among them whose strides say nothing of the order.
SIZES = ((2, 4, 5, 6), (1, 4, 1, 1), (1, 1, 5, 6))
every_size = pytest.mark.parametrize("size", SIZES, ids=str)


def ops_called(call: Callable[[], object]) -> set[str]:
    """Names of the ops that ``call`` runs the second time, when all is packed and found.

    Without what an engine gets its working memory from: FBGEMM needs some in every run.
    """
    call()
    with profile(activities=[ProfilerActivity.CPU]) as recorded:
        call()
    return {event.name for event in recorded.events() if "::" in event.name} - {"aten::empty"}


def activation(size: tuple[int, ...], memory_format: torch.memory_format) -> Tensor:
    values = torch.arange(torch.Size(size).numel(), dtype=torch.uint8).reshape(size)
    return values.contiguous(memory_format=memory_format)


def channels_last_strides(sizes: torch.Size) -> tuple[int, ...]:
    batch, channels, height, width = sizes
    return torch.empty(batch, height, width, channels).movedim(-1, 1).stride()


@every_size
@every_engine
def test_run_on_a_quantized_tensor(engine: str, size: tuple[int, ...]) -> None:
    weight = torch.quantize_per_tensor(torch.ones(8, size[1], 1, 1), 0.1, 0, torch.qint8)
    params = op("conv2d_prepack")(weight, None, [1, 1], [0, 0], [1, 1], 1, engine=engine)
    integers = activation(size, torch.channels_last)
    qx = torch._make_per_tensor_quantized_tensor(integers, 0.1, 3)
    qx = qx.contiguous(memory_format=torch.channels_last)

    def call() -> Tensor:
        return op("conv2d")(qx, params, 0.2, 5)

    assert ops_called(call) == {"torch_qconv_prepack::conv2d"}
    assert call().stride() == channels_last_strides(call().shape)
    assert not call()._is_view()


@every_size
@every_engine
def test_run_on_a_plain_tensor(engine: str, size: tuple[int, ...]) -> None:
    weight, scale = torch.ones(8, size[1], 1, 1, dtype=torch.int8), torch.full((8,), 0.1)
    lists = ([1, 1], [0, 0], [1, 1], 1)
    with qconv.engine(engine):
        qw = op("qconv_prepack")(weight, scale, 0.1, 3, *lists, list(size))
    qx = activation(size, torch.channels_last)
    zero_point, bias = torch.zeros(8, dtype=torch.int64), torch.ones(8)

    def call() -> Tensor:
        attributes = (0.2, 5, torch.uint8, "none", [], "")
        return op("qconv_pointwise")(qx, 0.1, 3, qw, scale, zero_point, bias, *lists, *attributes)

    assert ops_called(call) == {"torch_qconv_prepack::qconv_pointwise"}
    assert call().stride() == channels_last_strides(call().shape)


def test_another_memory_order_is_converted() -> None:
    weight = torch.quantize_per_tensor(torch.ones(8, 4, 1, 1), 0.1, 0, torch.qint8)
    params = op("conv2d_prepack")(weight, None, [1, 1], [0, 0], [1, 1], 1)
    integers = activation((2, 4, 5, 6), torch.contiguous_format)
    qx = torch._make_per_tensor_quantized_tensor(integers, 0.1, 3)
    last = qx.contiguous(memory_format=torch.channels_last)
    run = op("conv2d")
    # PyTorch's own order by the library itself, any other by PyTorch's copy.
    assert ops_called(lambda: run(qx, params, 0.2, 5)) == {"torch_qconv_prepack::conv2d"}
    turned = qx.transpose(2, 3).contiguous().transpose(2, 3)
    assert len(ops_called(lambda: run(turned, params, 0.2, 5))) > 1
    expected = run(last, params, 0.2, 5).int_repr()
    assert torch.equal(run(qx, params, 0.2, 5).int_repr(), expected)
    assert torch.equal(run(turned, params, 0.2, 5).int_repr(), expected)
