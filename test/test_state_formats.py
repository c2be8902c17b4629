"""States are exchanged with PyTorch in both directions, and states of every version are read."""

from __future__ import annotations

from typing import Any

import ops
import pytest
import torch
from cases import feature_cases
from comparison import assert_matches
from conv_case import ConvCase, ConvData
from packed_examples import EXAMPLES, assert_same_params, facts, kind_of
from saved_states import (
    OWN_CLASS,
    STOCK_CLASS,
    WRITERS,
    build,
    own_config,
    own_payload,
    own_state,
    parts_of,
    state_of,
    version2,
    version3,
)
from torch import Tensor

import torch_qconv_prepack as qconv

CASES = (*feature_cases(), *EXAMPLES)
every_case = pytest.mark.parametrize("case", CASES, ids=str)
# PyTorch's fbgemm engine packs no transposed per-channel weight.
COMMON = [case for case in CASES if not (case.transposed and case.per_channel)]
every_common_case = pytest.mark.parametrize("case", COMMON, ids=str)
ACCESSORS = ("stride", "padding", "output_padding", "dilation", "groups", "transpose")


def dims_of(case: ConvCase) -> int:
    """Spatial dimensions as stored."""
    return max(case.dims, 2)


def same_state(actual: Any, expected: Any) -> bool:
    """Equal in structure, types, numbers and tensors with their quantization."""
    if type(actual) is not type(expected):
        return False
    if isinstance(actual, tuple | list):
        return len(actual) == len(expected) and all(map(same_state, actual, expected))
    if isinstance(actual, Tensor):
        return actual.dtype == expected.dtype and torch.equal(actual, expected)
    return actual == expected


@every_case
def test_get_state_writes_what_the_formats_say(case: ConvCase) -> None:
    data = case.data()
    params, parts = ops.pack(data), parts_of(data)
    assert same_state(qconv.get_state(params), version2(parts))
    assert same_state(qconv.get_state(params, 2), version2(parts))
    assert same_state(qconv.get_state(params, version=3), version3(parts))
    own = own_state(own_config(parts, is_1d=case.dims == 1), own_payload(parts), "auto")
    assert same_state(state_of(params), own)


# Version 1 has no place for transposed convolutions.
READABLE = [(c, version) for c in CASES for version in WRITERS if version > 1 or not c.transposed]


@pytest.mark.parametrize(("case", "version"), READABLE, ids=str)
def test_from_state_reads_what_the_formats_say(case: ConvCase, version: int) -> None:
    data = case.data()
    params = qconv.from_state(WRITERS[version](parts_of(data)), dims=dims_of(case))
    expected = facts(ops.pack(data))
    if case.dims == 1:
        expected["conv_dims"] = 2  # these formats don't tell
    assert facts(params) == expected
    assert_matches(ops.run(data, params), data.expected())


@every_case
def test_own_state_is_read_as_it_was_written(case: ConvCase) -> None:
    data = case.data()
    params = ops.pack(data)
    back = qconv.from_state(state_of(params), dims=dims_of(case))
    assert_same_params(back, params, data)


@every_common_case
@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("engine", ["fbgemm", "x86"])
def test_pytorch_loads_what_is_written_here(case: ConvCase, engine: str, version: int) -> None:
    data = case.data()
    state = qconv.get_state(ops.pack(data), version)
    with ops.stock_engine(engine):
        loaded = build(STOCK_CLASS.format(dims_of(case)), state)
    packed = ops.stock_pack(data, engine)
    for name in ACCESSORS:
        assert getattr(loaded, name)() == getattr(packed, name)(), name
    assert same_state(loaded.unpack(), packed.unpack())
    # Not the reference's output: this engine is wrong for some of these.
    actual, expected = ops.stock_run(data, loaded), ops.stock_run(data, packed)
    assert torch.equal(actual.int_repr(), expected.int_repr())


@every_common_case
@pytest.mark.parametrize("engine", ["fbgemm", "x86"])
def test_what_pytorch_writes_is_loaded_here(case: ConvCase, engine: str) -> None:
    data = case.data()
    stock = ops.stock_pack(data, engine)
    for params in (
        qconv.from_state(state_of(stock), dims=dims_of(case)),
        build(OWN_CLASS.format(dims_of(case)), state_of(stock)),
    ):
        for name in ACCESSORS:
            assert getattr(params, name)() == getattr(stock, name)(), name
        assert same_state(params.unpack(), stock.unpack())
        assert torch.equal(params.weight().int_repr(), ops.pack(data).weight().int_repr())
        assert_matches(ops.run(data, params), data.expected())


@pytest.mark.parametrize("case", [c for c in EXAMPLES if c.dims == 1], ids=str)
@pytest.mark.parametrize("version", [2, 3])
def test_1d_from_pytorchs_formats_runs_as_1d_and_2d(case: ConvCase, version: int) -> None:
    data = case.data()
    params = qconv.from_state(qconv.get_state(ops.pack(data), version))
    assert_matches(ops.run(data, params), data.expected())
    assert_matches(run_as_2d(data, params), data.expected())
    # It stays so in its own state.
    again = qconv.from_state(state_of(params))
    assert_matches(ops.run(data, again), data.expected())
    assert_matches(run_as_2d(data, again), data.expected())
    # The object itself, and its own state, know better.
    for exact in (ops.pack(data), qconv.from_state(state_of(ops.pack(data)))):
        with pytest.raises(ValueError, match=r"^conv\w*2d: packed params must come from"):
            run_as_2d(data, exact)


def run_as_2d(data: ConvData, params: Any) -> Tensor:
    op = ops.op(kind_of(data).replace("1d", "2d"))
    y = op(data.activation.unsqueeze(2), params, data.output_scale, data.output_zero_point)
    return y.squeeze(2)


@pytest.mark.parametrize("name", ["kernel", "stride", "padding", "dilation"])
@pytest.mark.parametrize("version", [2, 3])
def test_2d_whose_height_counts_does_not_run_as_1d(name: str, version: int) -> None:
    def reloaded(case: ConvCase) -> Any:
        return qconv.from_state(qconv.get_state(ops.pack(case.data()), version))

    as_1d = ConvCase("c", dims=1).data()
    flat = ConvCase("c", kernel=(1, 3))
    ops.run(as_1d, reloaded(flat))
    _, width = getattr(flat, name)
    tall = reloaded(flat.but(**{name: (getattr(flat, name)[0] + 1, width)}))
    with pytest.raises(ValueError, match=r"^conv1d: packed params must come from"):
        ops.run(as_1d, tall)
