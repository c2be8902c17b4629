"""Rows of the feature matrix for the ops on plain tensors, PyTorch's being `onednn::`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from features import Held, Row
from op_calls import Ops, op
from op_rows import base
from plain_call import (
    FLOATS,
    FUNCTIONS,
    PlainCall,
    accumulator,
    binary_arguments,
)
from torch import Tensor


def plain_held(call: PlainCall, y: Tensor, real: Tensor) -> Held:
    """Outputs may be a quantum off, but not more often than near ties; test_plain_ops.py holds
    this package's to less. Floats' errors are told in quanta of the integer output."""
    if call.output_dtype in FLOATS:
        # bfloat16 keeps 8 bits; float32 sums of several roundings, relative to the largest number.
        bits = 8 if call.output_dtype == torch.bfloat16 else 20
        worst = float((y.double() - real).abs().max())
        right = worst <= 2.0**-bits * float(real.abs().max())
        return Held("", right, round(worst / call.data.output_scale))
    error = y.long() - call.quantized(real)
    largest = int(error.abs().max())
    unbiased = abs(float(error.double().mean())) < max(0.01, 1.5 / error.numel())
    return Held("", largest <= 1 and unbiased, largest)


def namespace(ops: Ops) -> str:
    return "onednn" if ops.stock else ops.namespace


def row(name: str, case: dict[str, Any] | None = None, **call_settings: Any) -> Row:
    """One call of qconv_pointwise. case: what differs from the base one, per channel."""

    def check(ops: Ops, dims: int) -> Iterator[Held]:
        data = base(dims).but(**{"per_channel": True, **(case or {})}).data()
        call = PlainCall(data, **call_settings)
        yield plain_held(call, call.run(call.prepack(namespace(ops)), namespace(ops)), call.real())

    return Row(name, check)


def binary_row(attribute: str) -> Row:
    """A tensor of the output's dtype is added."""

    def check(ops: Ops, dims: int) -> Iterator[Held]:
        call = PlainCall(base(dims).but(per_channel=True).data())
        addend, added = accumulator(call, torch.uint8)
        last = {2: torch.channels_last, 3: torch.channels_last_3d}.get(dims)
        if last is not None:
            addend = addend.contiguous(memory_format=last)
        relu = attribute.endswith("_relu")
        unary = "relu" if relu else "none"
        real = call.but(attr=unary).real(added)
        name = "qconv2d_pointwise" if dims == 2 else "qconv_pointwise"
        weight = call.prepack(namespace(ops))
        arguments = binary_arguments(call, weight, addend, attribute.removesuffix("_relu"), unary)
        try:
            binary = op(name, namespace(ops)).binary
        except AttributeError:
            raise NotImplementedError(f"there is no {name}.binary") from None
        yield plain_held(call, binary(*arguments), real)

    return Row(f"`{attribute}`", check)


def plain_rows() -> Iterator[Row]:
    yield row("weights per tensor", {"per_channel": False})
    yield row("weights per channel")
    yield row("weight zero points", {"weight_zero_points": True})
    yield row("depthwise", {"in_channels": 16, "out_channels": 16, "groups": 16})
    yield row("int8 activations", signed_input=True)
    for dtype in (torch.int8, *FLOATS):
        yield row(f"{str(dtype).removeprefix('torch.')} output", output_dtype=dtype)
    for attr in FUNCTIONS:
        if attr != "none":
            yield row(f"`{attr.partition('-')[0]}` {attr.partition('-')[2]}".strip(), attr=attr)
    for attribute in ("sum", "sum_relu", "add", "add_relu"):
        yield binary_row(attribute)
