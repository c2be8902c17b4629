"""What PyTorch gets wrong, and drop-in mode mends: the same calls of PyTorch's ops, off and on."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import ops
import pytest
import torch
from comparison import assert_matches, compare
from conv_case import ConvCase, ConvData
from dynamic_reference import dynamic_conv
from ops import named, op
from signed import SHIFT, signed_copy, unsigned
from sums import expected_sum
from test_default_engine_defects import TRANSPOSED
from test_qnnpack_defects import BEYOND, PADDED, requantized
from test_stock_defects import WRONG
from torch import Tensor

import torch_qconv_prepack as qconv


def packed(data: ConvData) -> Any:
    """By PyTorch's op, whatever that does at the moment."""
    name = ops.kind(data.geometry.dims, data.geometry.transposed)
    return op(f"{name}_prepack", "quantized")(*ops.pack_arguments(data))


@dataclass(frozen=True)
class Results:
    """Of the same calls with the mode off and on."""

    off: Any
    on: Any


def both(engine: str, call: Callable[[], Any]) -> Results:
    with ops.stock_engine(engine):
        off = call()
        with qconv.enabled():
            return Results(off, call())


def assert_wrong_and_right(results: Results, data: ConvData, relu: bool = False) -> None:
    expected = data.expected(relu=relu)
    assert compare(results.off, expected).worst > 10
    assert_matches(results.on, expected)


def refused(call: Callable[[], Any]) -> Callable[[], Any]:
    def result() -> Any:
        try:
            return call()
        except RuntimeError as error:
            return error

    return result


@pytest.mark.parametrize("engine", ["x86", "onednn"])
@pytest.mark.parametrize("case", **named(TRANSPOSED))
def test_transposed_with_other_output_channels(case: ConvCase, engine: str) -> None:
    data = case.data()
    assert_wrong_and_right(both(engine, lambda: ops.stock_run(data, packed(data))), data)


def test_transposed_3d_under_qnnpack() -> None:
    case = ConvCase("up", dims=3, transposed=True, in_channels=8, input_size=(4,), stride=(2,))
    data = case.data()
    assert_wrong_and_right(both("qnnpack", lambda: ops.stock_run(data, packed(data))), data)


@pytest.mark.parametrize("case", **named(WRONG))
def test_saturation_and_up_sampling_under_fbgemm(case: ConvCase) -> None:
    data = case.data()
    assert_wrong_and_right(both("fbgemm", lambda: ops.stock_run(data, packed(data))), data)


@pytest.mark.parametrize("engine", ["x86", "fbgemm", "qnnpack", "onednn"])
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_dynamic_results_beyond_the_inputs_range(engine: str, dims: int) -> None:
    data = ConvCase("dynamic", dims=dims, in_channels=96, bias=False).data()
    x = torch.rand(1, 96, *[6] * dims, generator=torch.Generator().manual_seed(0))
    dynamic = op(f"conv{dims}d_dynamic", "quantized")
    results = both(engine, lambda: dynamic(x, packed(data)))
    expected = dynamic_conv(x, data.weight, None, data.geometry)
    assert float(expected.abs().max()) > 2
    assert float(results.off.abs().max()) <= 1.01
    torch.testing.assert_close(results.on.double(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("engine", ["x86", "onednn"])
@pytest.mark.parametrize("first", ["", "_relu"], ids=["plain-first", "relu-first"])
def test_one_object_under_both_ops(engine: str, first: str) -> None:
    data = ConvCase("both", in_channels=16, out_channels=24, padding=(1,), per_channel=True).data()
    second = "" if first else "_relu"

    def call() -> Tensor:
        params = packed(data)
        ops.stock_run(data, params, first)
        return ops.stock_run(data, params, second)

    assert_wrong_and_right(both(engine, call), data, relu=bool(second))


@pytest.mark.parametrize("case", **named(PADDED))
def test_another_zero_point_of_the_input_under_qnnpack(case: ConvCase) -> None:
    data = case.data()
    first, second = (requantized(data, 0.05, zero_point) for zero_point in (3, 128))

    def call() -> Tensor:
        params = packed(data)
        ops.stock_run(first, params)
        return ops.stock_run(second, params)

    assert_wrong_and_right(both("qnnpack", call), second)


@pytest.mark.parametrize("name", BEYOND)
def test_numbers_beyond_what_qnnpack_holds(name: str) -> None:
    data = BEYOND[name]
    assert_wrong_and_right(both("qnnpack", lambda: ops.stock_run(data, packed(data))), data)


def test_results_beyond_int32_under_fbgemm() -> None:
    data = BEYOND["values"]
    results = both("fbgemm", lambda: ops.stock_run(data, packed(data)))
    assert int(results.off.int_repr().max()) == 0
    assert int(results.on.int_repr().min()) == 255


@pytest.mark.parametrize("engine", ["x86", "onednn"])
def test_a_bias_with_strides(engine: str) -> None:
    data = ConvCase("bias", in_channels=8, out_channels=16).data()
    assert data.bias is not None
    strided = torch.stack([data.bias, data.bias + 100], dim=1)[:, 0]
    same = replace(data, bias=strided)
    assert_wrong_and_right(both(engine, lambda: ops.stock_run(same, packed(same))), data)


@pytest.mark.parametrize("engine", ["x86", "fbgemm", "qnnpack", "onednn"])
def test_a_bias_that_changes_after_packing(engine: str) -> None:
    data = ConvCase("bias", in_channels=8, out_channels=16).data()
    assert data.bias is not None

    def call() -> Tensor:
        bias = data.bias.clone()
        params = packed(replace(data, bias=bias))
        bias.add_(1000 * data.output_scale)
        return ops.stock_run(data, params)

    assert_wrong_and_right(both(engine, call), data)


@pytest.mark.parametrize("engine", ["x86", "fbgemm", "onednn"])
def test_transposed_weights_per_channel(engine: str) -> None:
    data = ConvCase("per-channel", transposed=True, per_channel=True).data()
    results = both(engine, refused(lambda: ops.stock_run(data, packed(data))))
    assert isinstance(results.off, RuntimeError)
    assert_matches(results.on, data.expected())


def test_weight_zero_points_and_output_padding_under_onednn() -> None:
    zero_points = ConvCase("zero-points", weight_zero_points=True)
    padded = ConvCase("padded", transposed=True, stride=(2,), output_padding=(1,))
    for case in (zero_points, padded):
        data = case.data()
        results = both("onednn", refused(lambda d=data: ops.stock_run(d, packed(d))))
        assert isinstance(results.off, RuntimeError)
        assert_matches(results.on, data.expected())


@pytest.mark.parametrize("engine", ["x86", "fbgemm", "qnnpack", "onednn"])
def test_signed_activations(engine: str) -> None:
    data = ConvCase("signed", padding=(1,)).data()
    moved = replace(
        data,
        activation=signed_copy(data.activation),
        output_zero_point=data.output_zero_point - SHIFT,
    )
    results = both(engine, refused(lambda: ops.stock_run(moved, packed(moved))))
    assert isinstance(results.off, RuntimeError)
    assert_matches(unsigned(results.on), data.expected())


@pytest.mark.parametrize("engine", ["x86", "fbgemm", "qnnpack"])
def test_adding_under_other_engines_than_onednn(engine: str) -> None:
    data = ConvCase("add", in_channels=8, padding=(1,)).data()
    zeros = torch._make_per_tensor_quantized_tensor(
        torch.zeros(1, 8, 6, 6, dtype=torch.uint8), 0.1, 0
    )
    arguments = (data.output_scale, data.output_zero_point)
    add = op("conv2d_add", "quantized")
    results = both(engine, refused(lambda: add(data.activation, zeros, packed(data), *arguments)))
    assert isinstance(results.off, RuntimeError)
    assert_matches(results.on, data.expected())


@pytest.mark.parametrize("relu", [False, True], ids=["add", "add_relu"])
def test_adding_its_own_input_under_onednn(relu: bool) -> None:
    """PyTorch writes the sum over what is added, here while it still reads that."""
    data = ConvCase("own-input", in_channels=16, out_channels=16, padding=(1,)).data()
    add = op("conv2d_add_relu" if relu else "conv2d_add", "quantized")

    def call() -> Tensor:
        last = torch.channels_last  # in which PyTorch runs: it makes no copy
        x = data.activation.clone().contiguous(memory_format=last)
        return add(x, x, packed(data), data.output_scale, data.output_zero_point)

    results = both("onednn", call)
    expected = expected_sum(data, data.activation, relu)
    assert compare(results.off, expected).worst > 10
    assert_matches(results.on, expected)


def test_no_bias_stays_none_under_qnnpack() -> None:
    data = ConvCase("bare", bias=False).data()
    results = both("qnnpack", lambda: op("conv2d_unpack", "quantized")(packed(data))[1])
    assert results.off is not None
    assert results.on is None


def test_3d_objects_are_unpacked_under_qnnpack() -> None:
    data = ConvCase("3d", dims=3).data()
    unpack = op("conv3d_unpack", "quantized")
    results = both("qnnpack", refused(lambda: unpack(packed(data))))
    assert isinstance(results.off, RuntimeError)
    assert torch.equal(results.on[0], data.weight)


def test_3d_objects_are_saved_and_loaded_under_qnnpack() -> None:
    data = ConvCase("3d", dims=3).data()
    results = both("qnnpack", refused(lambda: pickle.loads(pickle.dumps(packed(data)))))
    assert isinstance(results.off, RuntimeError)
    assert_matches(ops.stock_run(data, results.on), data.expected())


def test_scales_keep_their_precision() -> None:
    data = ConvCase("scales", per_channel=True).data()
    unpack = op("conv2d_unpack", "quantized")
    results = both("fbgemm", lambda: unpack(packed(data))[0].q_per_channel_scales())
    scales = data.weight.q_per_channel_scales()
    assert not torch.equal(results.off, scales)
    assert torch.equal(results.on, scales)
