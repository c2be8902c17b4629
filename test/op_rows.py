"""Rows of the feature matrix for ops and dtypes. Needs PyTorch alone.

The data take their full range, as those of the shapes do; a transposed convolution has as many
output channels as input channels.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from conv_case import ConvCase, ConvData
from dynamic_reference import dynamic_conv, dynamic_tolerance
from features import KERNEL, SIZES, Held, Row, held
from op_calls import Ops
from signed import SHIFT, signed_copy, unsigned
from sums import addend_of, expected_sum

Check = Callable[[Ops, ConvData], Iterator[Held]]


def base(dims: int, transposed: bool = False) -> ConvCase:
    return ConvCase(
        "base",
        dims=dims,
        transposed=transposed,
        input_size=SIZES[:dims],
        kernel=KERNEL[:dims],
        stride=(2,),
        padding=(1,),
        full_range=True,
        batch=2,
    )


def row(name: str, check: Check, transposed: bool = False, **changes: Any) -> Row:
    """A row of the check on the base case, changed."""
    return Row(name, lambda ops, dims: check(ops, base(dims, transposed).but(**changes).data()))


def plain(ops: Ops, data: ConvData, suffix: str = "") -> Iterator[Held]:
    yield held(ops, data, ops.run(data, ops.pack(data), suffix), suffix)


def add(ops: Ops, data: ConvData, suffix: str) -> Iterator[Held]:
    addend = addend_of(data, seed=1)
    expected = expected_sum(data, addend, suffix == "_add_relu", ops.rounding)
    arguments = (ops.pack(data), data.output_scale, data.output_zero_point)
    y = ops.call(data, suffix, data.activation, addend, *arguments)
    yield Held.of(suffix, y, expected)


def dynamic(ops: Ops, data: ConvData) -> Iterator[Held]:
    x = data.activation.dequantize()
    real = dynamic_conv(x, data.weight, data.bias, data.geometry)
    error = (ops.call(data, "_dynamic", x, ops.pack(data)).double() - real).abs()
    right = bool((error <= dynamic_tolerance(real, data.bias, ops.rounding)).all())
    yield Held("_dynamic", right, round(float(error.max()) / data.output_scale))


def unpack(ops: Ops, data: ConvData) -> Iterator[Held]:
    weight, bias = ops.call(data, "_unpack", ops.pack(data))
    error = int((weight.int_repr().long() - data.weight.int_repr().long()).abs().max())
    assert data.bias is not None
    yield Held("_unpack", error == 0 and torch.equal(bias, data.bias), error)


def loaded(ops: Ops, data: ConvData) -> Iterator[Held]:
    yield held(ops, data, ops.run(data, pickle.loads(pickle.dumps(ops.pack(data)))))


def signed(ops: Ops, data: ConvData) -> Iterator[Held]:
    other = replace(
        data,
        activation=signed_copy(data.activation),
        output_zero_point=data.output_zero_point - SHIFT,
    )
    yield held(ops, data, unsigned(ops.run(other, ops.pack(other))))


CHECKS: dict[str, Check] = {
    "uint8 activations": plain,
    "int8 activations": signed,
    "`_relu`": partial(plain, suffix="_relu"),
    "`_add`": partial(add, suffix="_add"),
    "`_add_relu`": partial(add, suffix="_add_relu"),
    "`_dynamic`": dynamic,
    "`_unpack`": unpack,
    "pickled and loaded": loaded,
}


def op_rows() -> Iterator[Row]:
    for transposed, prefix in ((False, "forward"), (True, "transposed")):
        for name, check in CHECKS.items():
            yield row(f"{prefix}, {name}", check, transposed)
