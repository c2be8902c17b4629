"""Objects that PyTorch packed run in PyTorch while drop-in mode is on, wrong results included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ops
import pytest
import torch
from conv_case import ConvCase, ConvData
from packed_examples import EXAMPLES, kind_of
from stock_defects import can_run
from sums import addend_of
from torch import Tensor

import torch_qconv_prepack as qconv


def stock(name: str) -> Any:
    return ops.op(name, "quantized")


STOCK_OBJECTS = [
    pytest.param(case, engine, id=f"{case}-{engine}")
    for case in EXAMPLES
    for engine in ("x86", "fbgemm", "qnnpack")
    if can_run(case, engine) and not (case.transposed and case.per_channel and engine == "x86")
]


def everything(data: ConvData, params: Any) -> list[Any]:
    """What PyTorch's ops make of an object; errors as their texts."""
    name = kind_of(data)
    calls: list[Callable[[], Any]] = [
        lambda: ops.stock_run(data, params).int_repr(),
        lambda: ops.stock_run(data, params).stride(),
        lambda: stock(f"{name}_dynamic")(data.activation.dequantize(), params),
        lambda: stock(f"{name}_unpack")(params)[0].int_repr(),
        lambda: stock(f"{name}_unpack")(params)[1],
        lambda: stock(f"{name}_groups")(params) if data.geometry.dims > 1 else None,
        lambda: stock("conv2d_unpack_sizes")(params) if name == "conv2d" else None,
        lambda: stock("conv2d_add")(data.activation, data.activation, params, 0.1, 3),
    ]
    results = []
    for call in calls:
        try:
            results.append(call())
        except RuntimeError as error:
            results.append(str(error).splitlines()[0])
    return results


@pytest.mark.parametrize(("case", "engine"), STOCK_OBJECTS)
def test_pytorchs_objects_are_run_by_pytorch(case: ConvCase, engine: str) -> None:
    data = case.data()
    params = ops.stock_pack(data, engine)
    with ops.stock_engine(engine):
        before = everything(data, params)
        with qconv.enabled():
            assert not ops.is_ours(params)
            during = everything(data, params)
        after = everything(data, params)
    for values in zip(before, during, after, strict=True):
        first = values[0]
        for other in values[1:]:
            assert torch.equal(first, other) if isinstance(first, Tensor) else first == other


def test_pytorchs_objects_are_added_to_by_pytorch() -> None:
    data = ConvCase("add", in_channels=12, padding=(1,), per_channel=True).data()
    results = []
    for enabled in (False, True):
        params, addend = ops.stock_pack(data, "onednn"), addend_of(data, seed=3)
        arguments = (data.activation, addend, params, data.output_scale, data.output_zero_point)
        with ops.stock_engine("onednn"):
            if enabled:
                with qconv.enabled():
                    results.append(stock("conv2d_add")(*arguments).int_repr())
            else:
                results.append(stock("conv2d_add")(*arguments).int_repr())
    assert torch.equal(*results)
