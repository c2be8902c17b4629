"""PyTorch's checks of quantized convolutions with drop-in mode off and on.

Where PyTorch is right, both give the same; drop-in mode is right everywhere.
"""

from __future__ import annotations

from collections import Counter

import ops
import pytest
import torch
from cases import CASES
from comparison import assert_matches, compare
from conv_case import ConvCase
from dynamic_reference import dynamic_conv, dynamic_tolerance
from random_cases import random_case, special_case
from reference import Expected
from stock_defects import can_run
from torch import Tensor

import torch_qconv_prepack as qconv

STOCK_ENGINES = ("x86", "fbgemm", "qnnpack", "onednn")

engines = pytest.mark.parametrize("engine", STOCK_ENGINES)

# Of results of PyTorch's: right, wrong, refused (an error), or not asked for (it may crash).
Verdicts = Counter[str]


def stock_result(case: ConvCase, engine: str, suffix: str) -> Tensor | str:
    """PyTorch's result, or why there is none."""
    if not can_run(case, engine):
        return "not asked for"
    data = case.data()
    try:
        return ops.stock_run(data, ops.stock_pack(data, engine), suffix)
    except RuntimeError:
        return "refused"


def check_run(case: ConvCase, engine: str, suffix: str) -> str:
    data = case.data()
    expected = data.expected(relu=bool(suffix))
    off = stock_result(case, engine, suffix)
    with ops.stock_engine(engine), qconv.enabled():
        prepack = ops.op(f"{ops.kind(case.dims, case.transposed)}_prepack", "quantized")
        on = ops.stock_run(data, prepack(*ops.pack_arguments(data)), suffix)
    assert_matches(on, expected)
    if isinstance(off, str):
        return off
    assert (on.shape, on.dtype, on.stride()) == (off.shape, off.dtype, off.stride())
    assert (on.q_scale(), on.q_zero_point()) == (off.q_scale(), off.q_zero_point())
    if not compare(off, data.expected(relu=bool(suffix), engine=engine)).acceptable:
        return "wrong"
    assert_same(on, off, expected, data.expected(relu=bool(suffix), engine=engine))
    return "right"


def assert_same(on: Tensor, off: Tensor, expected: Expected, stock_expected: Expected) -> None:
    """Equal but where float64 lies so near to a tie that the two engines may round it apart."""
    difference = on.int_repr().int() - off.int_repr().int()
    both = [(e.shifted(-e.float32_error), e.shifted(e.float32_error))
            for e in (expected, stock_expected)]  # fmt: skip
    may_differ = (both[0][0] != both[1][1]) | (both[1][0] != both[0][1])
    assert int(difference.abs().max()) <= 1 if difference.numel() else True
    assert not bool(((difference != 0) & ~may_differ).any())


def verdicts(cases: list[ConvCase], engine: str) -> Verdicts:
    result = Verdicts()
    for case in cases:
        for suffix in ("",) if case.transposed else ("", "_relu"):
            try:
                result[check_run(case, engine, suffix)] += 1
            except AssertionError as error:
                raise AssertionError(f"{case.name}{suffix}: {case.settings()}: {error}") from error
    return result


@engines
def test_run_ops_on_the_table(engine: str) -> None:
    found = verdicts(list(CASES), engine)
    assert found["right"] > 200, found
    # qnnpack is right on the table, but for what can_run() leaves out.
    assert found["wrong"] > 3 or engine == "qnnpack", found


@engines
def test_run_ops_on_random_shapes(engine: str) -> None:
    seeds = range(3000, 3100)
    found = verdicts([make(s) for s in seeds for make in (random_case, special_case)], engine)
    assert found["right"] > 100, found


def check_dynamic(case: ConvCase, engine: str) -> str:
    data = case.data()
    # Small outputs, so that PyTorch's clamp to the input's range seldom shows.
    x = data.activation.dequantize() * 3.7
    name = ops.kind(case.dims, case.transposed)
    expected = dynamic_conv(x, data.weight, data.bias, data.geometry)
    dynamic = ops.op(f"{name}_dynamic", "quantized")
    with ops.stock_engine(engine), qconv.enabled():
        params = ops.op(f"{name}_prepack", "quantized")(*ops.pack_arguments(data))
        on = dynamic(x, params)
    tolerance = dynamic_tolerance(expected, data.bias, qconv.describe(params).engine)
    assert bool(((on.double() - expected).abs() <= tolerance).all())
    if not can_run(case, engine):
        return "not asked for"
    try:
        with ops.stock_engine(engine):
            off = dynamic(x, ops.stock_pack(data, engine))
    except RuntimeError:
        return "refused"
    assert (on.shape, on.dtype) == (off.shape, off.dtype)
    scale = float(x.max() - x.min()) / 255
    if expected.numel() and float((off.double() - expected).abs().max()) > 2 * scale:
        return "wrong"
    # PyTorch rounds its result to steps of the input's scale.
    torch.testing.assert_close(on, off, rtol=0, atol=2 * scale)
    return "right"


@engines
def test_dynamic_ops_on_the_table(engine: str) -> None:
    found = Counter(check_dynamic(case, engine) for case in CASES[::4])
    assert found["wrong"] > 20, found  # clamped
