"""A packed convolution moves from engine to engine, as an object and as a saved state."""

from __future__ import annotations

import pytest
import torch
from comparison import assert_matches
from conv_case import ConvCase
from ops import ENGINES, op, pack, run
from saved_states import state_of

import torch_qconv_prepack as qconv

CASES = (
    ConvCase("dense", in_channels=19, out_channels=24, padding=(1,), per_channel=True),
    ConvCase("no-bias", dims=3, in_channels=6, out_channels=10, bias=False, full_range=True),
    ConvCase("depthwise", in_channels=16, out_channels=16, groups=16, padding=(1,)),
    ConvCase("transposed", transposed=True, in_channels=12, out_channels=8, stride=(2,)),
    ConvCase("1d", dims=1, in_channels=8, out_channels=4, padding=(1,), dilation=(2,)),
)
NAMES = (*ENGINES, "x86", "auto")
PAIRS = [(case, before, after) for case in CASES for before in ENGINES for after in NAMES]
pairs = pytest.mark.parametrize(
    ("case", "before", "after"), PAIRS, ids=["-".join(map(str, pair)) for pair in PAIRS]
)
ZERO_POINTS = ConvCase("zero-points", per_channel=True, weight_zero_points=True)


@pairs
def test_to_engine_loses_nothing(case: ConvCase, before: str, after: str) -> None:
    data = case.data()
    params = pack(data, before)
    moved = params.to_engine(after)
    assert moved.engine() == after or after in ("x86", "auto")
    weight, bias = moved.unpack()
    expected_weight, expected_bias = params.unpack()
    assert torch.equal(weight.int_repr(), expected_weight.int_repr())
    assert weight.qscheme() == expected_weight.qscheme()
    assert (bias is None) == (data.bias is None)
    assert bias is None or torch.equal(bias, expected_bias)
    assert moved.conv_dims() == case.dims
    assert_matches(run(data, moved), data.expected(engine=moved.engine()))
    back = moved.to_engine(before)
    assert torch.equal(run(data, back).int_repr(), run(data, params).int_repr())


@pairs
def test_a_state_loads_under_another_engine(case: ConvCase, before: str, after: str) -> None:
    data = case.data()
    state, dims = state_of(pack(data, before)), 3 if case.dims == 3 else 2
    for loaded in (
        qconv.from_state(state, dims, engine=after),
        qconv.from_state(qconv.get_state(pack(data, before)), dims, engine=after),
    ):
        assert loaded.engine() == pack(data, after).engine()
        assert_matches(run(data, loaded), data.expected(engine=loaded.engine()))
    with qconv.engine(after):
        assert qconv.from_state(state, dims).engine() == pack(data, after).engine()


def test_a_state_remembers_what_was_asked_for() -> None:
    data = CASES[0].data()
    for name in NAMES:
        assert state_of(pack(data, name))[1] == name
    assert state_of(pack(data))[1] == "auto"
    assert qconv.from_state(state_of(pack(data, "fbgemm"))).engine() == "fbgemm"


def test_the_same_name_gives_the_same_object() -> None:
    params = pack(CASES[0].data(), "fbgemm")
    assert params.to_engine("fbgemm").engine() == "fbgemm"


def test_unknown_engine() -> None:
    params = pack(CASES[0].data())
    with pytest.raises(ValueError, match=r"^Conv2dPackedParams.to_engine: engine must be one of "):
        params.to_engine("mkldnn")


@pytest.mark.skipif("onednn" not in ENGINES, reason="every engine here runs everything")
def test_an_engine_that_cannot_says_why_and_who_can() -> None:
    data = ZERO_POINTS.data()
    params = pack(data, "fbgemm")
    text = (
        r": engine onednn can't run this conv2d \(onednn: .*\); engines that can: "
        "native, fbgemm, qnnpack"
    )
    with pytest.raises(NotImplementedError, match=text):
        params.to_engine("onednn")
    with pytest.raises(NotImplementedError, match=text):
        op("conv2d_prepack")(data.weight, data.bias, [1, 1], [0, 0], [1, 1], 1, engine="onednn")
    with pytest.raises(NotImplementedError, match=text):
        qconv.from_state(state_of(params), engine="onednn")
