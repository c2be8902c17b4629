"""Rows of the feature matrix for unusual data, several runs of one object, and mistakes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from conv_case import ConvCase, ConvData
from features import Held, Row, held
from op_calls import Ops
from op_rows import Check, base, plain, row

Change = Callable[[ConvData], ConvData]


def strided_bias(ops: Ops, data: ConvData) -> Iterator[Held]:
    assert data.bias is not None
    strided = torch.stack([data.bias, data.bias + 100], dim=1)[:, 0]
    yield held(ops, data, ops.run(data, ops.pack(replace(data, bias=strided))))


def changed_bias(ops: Ops, data: ConvData) -> Iterator[Held]:
    assert data.bias is not None
    bias = data.bias.clone()
    packed = ops.pack(replace(data, bias=bias))
    bias.add_(1000 * data.output_scale)
    yield held(ops, data, ops.run(data, packed))


def beyond_int32(ops: Ops, data: ConvData) -> Iterator[Held]:
    """Sums of 16,000 with scales of 1, in quanta of a millionth: 1.6e10 of them."""
    dims = data.geometry.dims
    integers = torch.full((8, 16, *[1] * dims), 100, dtype=torch.int8)
    tens = torch.full((1, 16, *[2] * dims), 10, dtype=torch.uint8)
    weight = torch._make_per_tensor_quantized_tensor(integers, 1.0, 0)
    x = torch._make_per_tensor_quantized_tensor(tens, 1.0, 0)
    geometry = ConvCase("1x1", dims=dims, kernel=(1,)).geometry
    large = ConvData(x, weight, None, geometry, 1e-6, 3)
    yield held(ops, large, ops.run(large, ops.pack(large)))


def relu_afterwards(ops: Ops, data: ConvData) -> Iterator[Held]:
    packed = ops.pack(data)
    ops.run(data, packed)
    yield held(ops, data, ops.run(data, packed, "_relu"), "_relu")


def second_run(change: Change) -> Check:
    """A second run of one object, with other data than the first."""

    def check(ops: Ops, data: ConvData) -> Iterator[Held]:
        packed = ops.pack(data)
        ops.run(data, packed)
        other = change(data)
        yield held(ops, other, ops.run(other, packed))

    return check


def of_another_size(data: ConvData) -> ConvData:
    case = base(data.geometry.dims)
    larger = case.but(input_size=tuple(size + 2 for size in case.input_size), seed=1)
    return with_activation(data, larger.data().activation.int_repr(), 0)


def with_another_zero_point(data: ConvData) -> ConvData:
    return with_activation(data, data.activation.int_repr(), 100)


def with_activation(data: ConvData, integers: torch.Tensor, shift: int) -> ConvData:
    """These integers, and the zero point moved."""
    x = data.activation
    zero_point = (x.q_zero_point() + shift) % 256
    other = torch._make_per_tensor_quantized_tensor(integers, x.q_scale(), zero_point)
    return replace(data, activation=other)


def with_another_output_scale(data: ConvData) -> ConvData:
    return replace(data, output_scale=3 * data.output_scale)


def refused(change: Callable[[ConvData], dict[str, Any]]) -> Check:
    """Right is an error."""

    def check(ops: Ops, data: ConvData) -> Iterator[Held]:
        spoiled = replace(data, geometry=replace(data.geometry, **change(data)))
        try:
            ops.run(spoiled, ops.pack(spoiled))
        except (RuntimeError, ValueError):
            yield Held("", True, 0)
        else:
            yield Held("", False, 0)

    return check


def data_rows() -> Iterator[Row]:
    yield row("empty batch", plain, batch=0)
    yield row("bias with strides", strided_bias)
    yield row("bias written to after packing", changed_bias)
    yield row("results beyond 2^31 quanta", beyond_int32)
    yield row("one object, inputs of another size", second_run(of_another_size))
    yield row("one object, inputs with another zero point", second_run(with_another_zero_point))
    yield row("one object, another output scale", second_run(with_another_output_scale))
    yield row("one object, the plain op and then `_relu`", relu_afterwards)
    yield row("stride 0 is an error", refused(lambda data: {"stride": (0,) * data.geometry.dims}))
    yield row("0 groups are an error", refused(lambda data: {"groups": 0}))
