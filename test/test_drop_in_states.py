"""Files and copies of PyTorch's objects while drop-in mode is on: they become this package's."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import ops
import pytest
import torch
from bad_input import assert_raises
from comparison import assert_matches
from conv_case import ConvCase, ConvData
from packed_examples import EXAMPLES, every_example
from saved_states import STOCK_CLASS, WRITERS, build, parts_of, state_of
from torch import Tensor, nn

import torch_qconv_prepack as qconv

Route = Callable[[Any], Any]


def loaded(buffer: io.BytesIO) -> Any:
    return torch.load(io.BytesIO(buffer.getvalue()), weights_only=False)


def through_torch_save(params: Any) -> Any:
    buffer = io.BytesIO()
    torch.save(params, buffer)
    return loaded(buffer)


def through_torchscript(params: Any) -> Any:
    class Holder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.params = params

        def forward(self, x: Tensor) -> Tensor:
            return x

    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(Holder()), buffer)
    return torch.jit.load(io.BytesIO(buffer.getvalue())).params


ROUTES: dict[str, Route] = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda params: pickle.loads(pickle.dumps(params)),
    "torch.save": through_torch_save,
    "torchscript": through_torchscript,
}

every_route = pytest.mark.parametrize("route", ROUTES)

# Of PyTorch's engines fbgemm takes and gives back most.
STOCK = [case for case in EXAMPLES if not (case.transposed and case.per_channel)]


def assert_same_convolution(params: Any, data: ConvData) -> None:
    assert ops.is_ours(params)
    assert "quantized.Conv" in str(params._type())
    weight, bias = params.unpack()
    assert torch.equal(weight.int_repr().reshape(-1), data.weight.int_repr().reshape(-1))
    assert bias is data.bias is None or torch.equal(bias, data.bias)
    assert_matches(ops.stock_run(data, params), data.expected())


@every_route
@pytest.mark.parametrize("case", STOCK, ids=str)
def test_pytorchs_objects_become_this_packages(case: ConvCase, route: str) -> None:
    data = case.data()
    stock = ops.stock_pack(data, "fbgemm")
    with qconv.enabled():
        params = ROUTES[route](stock)
        assert_same_convolution(params, data)
    assert_same_convolution(params, data)


@every_route
@every_example
def test_objects_of_this_package_stay_its(case: ConvCase, route: str) -> None:
    data = case.data()
    with qconv.enabled():
        params = ROUTES[route](ops.pack(data).as_quantized())
    assert_same_convolution(params, data)


@every_route
def test_when_it_is_off_copies_are_pytorchs(route: str) -> None:
    data = EXAMPLES[1].data()
    with qconv.enabled():
        params = copy.deepcopy(ops.stock_pack(data, "fbgemm"))
    assert ops.is_ours(params)
    assert not ops.is_ours(ROUTES[route](params))
    with qconv.enabled():
        assert ops.is_ours(ROUTES[route](params))


@pytest.mark.parametrize("engine", ops.ENGINES)
def test_the_engine_named_packs_what_is_loaded(engine: str) -> None:
    data = ConvCase("plain").data()
    stock = ops.stock_pack(data, "fbgemm")
    with qconv.enabled(engine=engine):
        assert qconv.describe(copy.deepcopy(stock)).engine == engine


@pytest.mark.parametrize(
    ("case", "version"),
    # Version 1 has neither transposed convolutions nor 1-D ones.
    [(c, v) for c in EXAMPLES for v in WRITERS if v > 1 or not (c.transposed or c.dims == 1)],
    ids=str,
)
def test_states_of_every_version_are_read(case: ConvCase, version: int) -> None:
    data = case.data()
    state = WRITERS[version](parts_of(data))
    with qconv.enabled():
        assert_same_convolution(build(STOCK_CLASS.format(max(case.dims, 2)), state), data)


@pytest.mark.parametrize("case", STOCK, ids=str)
def test_states_written_are_pytorchs(case: ConvCase) -> None:
    """What PyTorch writes of its object, this package writes of it and of its own."""
    data = case.data()
    stock = ops.stock_pack(data, "fbgemm")
    expected = state_of(stock)
    with qconv.enabled():
        for params in (stock, ops.pack(data).as_quantized()):
            version, (config, weight), (bias,) = state_of(params)
            assert version == expected[0] == "2"
            assert torch.equal(config, expected[1][0])
            assert config.dtype == torch.int16
            assert torch.equal(weight.int_repr(), expected[1][1].int_repr())
            assert bias is expected[2][0] is None or torch.equal(bias, expected[2][0])


@pytest.mark.parametrize("case", STOCK, ids=str)
def test_files_written_are_read_by_pytorch(case: ConvCase) -> None:
    data = case.data()
    buffer = io.BytesIO()
    with qconv.enabled():
        torch.save(ops.pack(data).as_quantized(), buffer)
    with ops.stock_engine("fbgemm"):
        params = loaded(buffer)
    assert not ops.is_ours(params)
    assert_matches(ops.stock_run(data, params), data.expected(engine="fbgemm"))


def test_values_beyond_int16_are_kept() -> None:
    case = ConvCase("far", in_channels=2, out_channels=2, stride=(40000,))
    data = case.data()
    stock = ops.stock_pack(data, "fbgemm")
    narrowed = state_of(stock)[1][0].tolist()
    assert 40000 not in narrowed  # PyTorch writes another number
    with qconv.enabled():
        for params in (stock, ops.pack(data).as_quantized()):
            version, config, _ = state_of(params)
            assert version == 3
            assert config[1:3] == [40000, 40000]
            assert copy.deepcopy(params).stride() == [40000, 40000]


def test_a_weight_that_pytorch_lost_is_not_saved() -> None:
    case = ConvCase("u-net", transposed=True, in_channels=32, out_channels=16, kernel=(2,),
                    stride=(2,))  # fmt: skip
    stock = ops.stock_pack(case.data(), "fbgemm")
    with qconv.enabled():
        start = "Conv2dPackedParamsBase.__getstate__: PyTorch can't give back the weight"
        assert_raises(NotImplementedError, start, lambda: state_of(stock))
