"""Packs and runs a test's convolution through the ops of this package or of PyTorch."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from conv_case import ConvCase, ConvData
from op_calls import kind, op, pack_arguments
from torch import Tensor

import torch_qconv_prepack as qconv

_RECORDS = [record for record in qconv.engines() if record.kind == "engine"]

# Every engine that this machine can use. Tests of the ops run once per engine.
ENGINES = tuple(record.name for record in _RECORDS if record.available)

# What engine= may be: policies and engines, whether they can be used here or not.
ENGINE_NAMES = ("auto", "x86", *(record.name for record in _RECORDS))

# What engines refuse: weights with a zero point other than 0. test_engine_refusals.py shows that
# they do, and nothing else.
SYMMETRIC_ONLY = ("onednn",)


def supported(case: ConvCase, engine: str | None) -> ConvCase:
    """The case itself, or the nearest to it that the engine takes."""
    return case.but(weight_zero_points=False) if engine in SYMMETRIC_ONLY else case


def on_engines(
    convolutions: Iterable[Any], argument: str = "case", names: Iterable[str | None] = ENGINES
) -> pytest.MarkDecorator:
    """Parametrizes `argument` and "engine": each engine with each convolution."""
    pairs = [(convolution, engine) for engine in names for convolution in convolutions]
    return pytest.mark.parametrize(
        (argument, "engine"),
        pairs,
        ids=[f"{convolution}-{engine}" for convolution, engine in pairs],
    )


def pack(data: ConvData, engine: str | None = None) -> Any:
    name = kind(data.geometry.dims, data.geometry.transposed)
    return op(f"{name}_prepack")(*pack_arguments(data), engine=engine)


def run(data: ConvData, params: Any, suffix: str = "") -> Tensor:
    name = kind(data.geometry.dims, data.geometry.transposed)
    return op(name + suffix)(data.activation, params, data.output_scale, data.output_zero_point)


@contextmanager
def stock_engine(engine: str) -> Iterator[None]:
    """PyTorch's engine of that name while the block runs."""
    before = torch.backends.quantized.engine
    torch.backends.quantized.engine = engine
    try:
        yield
    finally:
        torch.backends.quantized.engine = before


def stock_pack(data: ConvData, engine: str) -> Any:
    name = kind(data.geometry.dims, data.geometry.transposed)
    with stock_engine(engine):
        return op(f"{name}_prepack", "quantized")(*pack_arguments(data))


def stock_run(data: ConvData, params: Any, suffix: str = "") -> Tensor:
    name = kind(data.geometry.dims, data.geometry.transposed)
    return op(name + suffix, "quantized")(
        data.activation, params, data.output_scale, data.output_zero_point
    )


def named(cases: Any) -> dict[str, Any]:
    """Arguments of pytest.mark.parametrize for a table of cases."""
    table: tuple[ConvCase, ...] = tuple(cases)
    return {"argvalues": table, "ids": [case.name for case in table]}


def is_ours(params: Any) -> bool:
    """Whether packed params, of whichever of the two types, are an object of this package."""
    try:
        qconv.describe(params)
    except TypeError:
        return False
    return True
