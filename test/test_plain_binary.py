"""The form of qconv_pointwise that adds a tensor, and torch's checks of the plain-tensor ops."""

from __future__ import annotations

import pytest
import torch
from conv_case import ConvCase
from ops import op
from plain_call import FLOATS, FUNCTIONS, PlainCall, accumulator, binary_arguments
from test_plain_ops import BASE, CASES, assert_is
from torch import Tensor
from torch.library import opcheck

import torch_qconv_prepack as qconv

DTYPES = (torch.uint8, torch.int8, *FLOATS)


@pytest.mark.parametrize("attribute", ["sum", "sum_relu", "add", "add_relu"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_adds(case: ConvCase, dtype: torch.dtype, attribute: str) -> None:
    call = PlainCall(case.data(), output_dtype=dtype)
    weight = call.prepack()
    addend, added = accumulator(call, dtype)
    before = addend.clone()
    relu = attribute.endswith("_relu")
    real = call.but(attr="relu" if relu else "none").real(added)
    y = op("qconv_pointwise").binary(*binary_arguments(call, weight, addend, attribute, None))
    assert_is(y, call, real)
    # "sum" leaves the result in the addend too, "add" leaves it alone.
    assert torch.equal(addend, y if attribute.startswith("sum") else before)


@pytest.mark.parametrize("unary", ["none", "relu"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_sum_equals_pytorch(dtype: torch.dtype, unary: str) -> None:
    call = PlainCall(BASE.data(), output_dtype=dtype)
    addend, _ = accumulator(call, dtype)
    outputs = []
    for namespace in ("torch_qconv_prepack", "onednn"):
        added = addend.clone(memory_format=torch.channels_last)
        arguments = binary_arguments(call, call.prepack(namespace), added, "sum", unary)
        outputs.append(op("qconv2d_pointwise", namespace).binary(*arguments).double())
    limit = 1 if dtype not in FLOATS else 2.0**-7 * float(outputs[1].abs().max())
    assert float((outputs[0] - outputs[1]).abs().max()) <= limit


@pytest.mark.parametrize("unary", FUNCTIONS)
@pytest.mark.parametrize("addend_dtype", DTYPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("engine", [e.name for e in qconv.engines() if e.available])
def test_every_engine_adds_before_every_function(
    engine: str, dtype: torch.dtype, addend_dtype: torch.dtype, unary: str
) -> None:
    call = PlainCall(BASE.data(), output_dtype=dtype)
    with qconv.engine(engine):
        weight = call.prepack()
    addend, added = accumulator(call, addend_dtype)
    arguments = binary_arguments(call, weight, addend, "add", unary)
    y = op("qconv_pointwise").binary(*arguments)
    assert_is(y, call, call.but(attr=unary).real(added), engine)


@pytest.mark.parametrize("case", CASES[:3], ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_opcheck(case: ConvCase, dtype: torch.dtype) -> None:
    call = PlainCall(case.data(), output_dtype=dtype)
    weight, lists = call.prepack(), call.lists
    prepack_arguments = (call.data.weight.int_repr(), call.weight_quantization[0])
    opcheck(op("qconv_prepack").default, (*prepack_arguments, *call.input_quantization, *lists))
    scale, zero_point = map(torch.tensor, call.input_quantization)
    addend, _ = accumulator(call, dtype)
    for name in ("qconv_pointwise", f"qconv{case.dims}d_pointwise"):
        for attr in ("none", "leaky_relu", "gelu-tanh"):
            opcheck(op(name).default, call.but(attr=attr).unary_arguments(weight))
        unary = call.unary_arguments(weight)
        opcheck(op(name).tensor, [unary[0], scale, zero_point, *unary[3:]])
        binary = binary_arguments(call, weight, addend, "sum", "relu")
        opcheck(op(name).binary, binary)
        opcheck(op(name).binary_tensor, [binary[0], scale, zero_point, *binary[3:]])


def test_compiles_and_exports_in_one_graph() -> None:
    call = PlainCall(BASE.data(), "relu")
    packing = [call.weight_quantization[0], *call.input_quantization, *call.lists]
    running = call.unary_arguments(torch.empty(0))

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("weight", call.data.weight.int_repr())

        def forward(self, x: Tensor) -> Tensor:
            packed = op("qconv_prepack")(self.weight, *packing)
            return op("qconv_pointwise")(x, *running[1:3], packed, *running[4:])

    model, expected, x = Model(), call.run(call.prepack()), call.input
    assert torch.equal(model(x), expected)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(x), expected)
    exported = torch.export.export(model, (x,))
    assert torch.equal(exported.module()(x), expected)
