"""Which format a state is written in, and what may vary in one that is read."""

from __future__ import annotations

from typing import Any

import ops
import pytest
import torch
from bad_input import assert_raises, message
from conv_case import ConvCase
from packed_examples import EXAMPLES, every_example, facts, kind_of
from saved_states import parts_of, state_of, version1, version2, version3

import torch_qconv_prepack as qconv

DATA = ConvCase("c", groups=2, per_channel=True).data()
PARTS = parts_of(DATA)
LARGEST = 2**15 - 1  # of int16


def pack(name: str, value: int) -> Any:
    """A packed convolution with one large number."""
    weight = torch._make_per_tensor_quantized_tensor(
        torch.ones(value if name == "groups" else 4, 1, 1, 1, dtype=torch.int8), 0.1, 0
    )
    arguments: dict[str, Any] = {
        "stride": [1, 1],
        "padding": [0, 0],
        "output_padding": [0, 0],
        "dilation": [1, 1],
        "groups": 1,
    }
    if name == "groups":
        arguments[name] = value
    else:
        arguments[name][1] = value
    if name == "output_padding":
        arguments["stride"][1] = value + 1
    return ops.op("conv_transpose2d_prepack")(weight, None, **arguments)


@pytest.mark.parametrize("name", ["stride", "padding", "output_padding", "dilation", "groups"])
def test_version_3_is_chosen_where_a_number_exceeds_int16(name: str) -> None:
    largest = LARGEST - 1 if name == "output_padding" else LARGEST  # its stride is one more
    assert qconv.get_state(pack(name, largest))[0] == "2"
    params = pack(name, LARGEST + 1)
    state = qconv.get_state(params)
    assert state[0] == 3
    assert LARGEST + 1 in state[1]
    assert facts(qconv.from_state(state)) == facts(params)
    text = message(ValueError, lambda: qconv.get_state(params, version=2))
    assert text.startswith("get_state: version 2 holds int16 values only, got stride ")
    assert text.endswith("; write version 3")
    assert str(LARGEST + 1) in text


@pytest.mark.parametrize("version", [1, 0, -1, 4, 2**40])
def test_other_versions_are_not_written(version: int) -> None:
    text = f"get_state: version must be 2 or 3, got {version}"
    assert message(ValueError, lambda: qconv.get_state(ops.pack(DATA), version)) == text


@pytest.mark.parametrize("version", ["2", 2.0, [2]])
def test_version_that_is_no_integer_is_refused(version: Any) -> None:
    params = ops.pack(DATA)
    start = "get_state: version must be "
    assert_raises(TypeError, start, lambda: qconv.get_state(params, version))


@every_example
def test_states_of_other_objects_are_not_written(case: ConvCase) -> None:
    data = case.data()
    start = "get_state: params must be packed by this package, got "
    stock = ops.stock_pack(data, "qnnpack")
    for other in (None, data.weight, stock):
        assert_raises(TypeError, start, lambda o=other: qconv.get_state(o))


@every_example
def test_state_of_an_object_that_wears_pytorchs_type_is_the_same(case: ConvCase) -> None:
    params = ops.pack(case.data())
    version, integers, tensors = qconv.get_state(params.as_quantized(), 3)
    expected = qconv.get_state(params, 3)
    assert (version, integers) == expected[:2]
    for actual, wanted in zip(tensors, expected[2], strict=True):
        assert actual is wanted is None or torch.equal(actual, wanted)


def test_state_without_a_bias_may_end_in_an_empty_list() -> None:
    parts = PARTS.but(bias=None)
    version, tensors, _ = version2(parts)
    params = qconv.from_state((version, tensors, []))
    assert facts(params) == facts(qconv.from_state(version2(parts)))


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8])
@pytest.mark.parametrize("shape", [(), (1,), (1, 1)], ids=str)
def test_numbers_of_version_1_may_have_any_integer_dtype(dtype: torch.dtype, shape: Any) -> None:
    weight, bias, *lists, groups = version1(PARTS)
    changed = [[number.to(dtype).reshape(shape) for number in numbers] for numbers in lists]
    state = (weight, bias, *changed, groups.to(dtype).reshape(shape))
    assert facts(qconv.from_state(state)) == facts(qconv.from_state(version1(PARTS)))


@pytest.mark.parametrize("write", [version1, version2, version3])
def test_tensors_may_lie_in_memory_in_any_order(write: Any) -> None:
    expected = facts(ops.pack(DATA))
    weight = torch._empty_per_channel_affine_quantized(
        PARTS.weight.shape,
        scales=PARTS.weight.q_per_channel_scales(),
        zero_points=PARTS.weight.q_per_channel_zero_points(),
        axis=0,
        dtype=torch.qint8,
        memory_format=torch.channels_last,
    )
    weight.copy_(PARTS.weight)
    assert not weight.is_contiguous()
    bias = torch.stack([PARTS.bias, PARTS.bias], dim=1)[:, 0]
    assert not bias.is_contiguous()
    for parts in (PARTS.but(weight=weight), PARTS.but(bias=bias)):
        assert facts(qconv.from_state(write(parts))) == expected


def test_config_of_version_2_may_be_strided() -> None:
    version, (config, weight), bias = version2(PARTS)
    strided = torch.stack([config, config], dim=1)[:, 0]
    state = (version, [strided, weight], bias)
    assert facts(qconv.from_state(state)) == facts(ops.pack(DATA))


@pytest.mark.parametrize("write", [version1, version2, version3])
def test_lazily_negated_tensors_have_their_values(write: Any) -> None:
    negated = torch._neg_view(-PARTS.bias)
    assert negated.is_neg()
    assert torch.equal(negated, PARTS.bias)
    assert facts(qconv.from_state(write(PARTS.but(bias=negated)))) == facts(ops.pack(DATA))


@pytest.mark.parametrize("write", [version1, version2, version3])
def test_tensors_of_a_state_are_not_kept(write: Any) -> None:
    parts = parts_of(ConvCase("c").data())
    params = qconv.from_state(write(parts))
    before = facts(params)
    for tensor in (parts.weight, parts.bias):
        tensor.untyped_storage().fill_(1)
    assert facts(params) == before


@ops.on_engines(EXAMPLES, names=[None, "auto", *ops.ENGINES])
def test_engine_can_be_chosen(case: ConvCase, engine: str | None) -> None:
    case = ops.supported(case, engine)
    params = ops.pack(case.data())
    dims = 3 if case.dims == 3 else 2
    for state in (state_of(params), qconv.get_state(params)):
        back = qconv.from_state(state, dims=dims, engine=engine)
        assert back.engine() in ops.ENGINES
        assert engine in (None, "auto", back.engine())
        assert_raises(
            ValueError,
            "from_state: engine must be one of auto, ",
            lambda s=state: qconv.from_state(s, dims=dims, engine="x"),
        )
    assert kind_of(case.data()) == qconv.describe(qconv.from_state(state_of(params), dims)).kind


def test_dims_other_than_2_and_3_are_refused() -> None:
    state = state_of(ops.pack(EXAMPLES[0].data()))
    for dims in (1, 4, "2", None):
        text = f"from_state: dims must be 2 (also for 1-D) or 3, got {dims!r}"
        assert message(ValueError, lambda d=dims: qconv.from_state(state, dims=d)) == text
