"""PyTorch's ops while drop-in mode is on: right on this package's objects, errors included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ops
import pytest
import torch
from bad_input import CONV2D, KINDS, Kind, assert_raises, every_kind, quint8
from comparison import assert_matches
from conv_case import ConvCase, ConvData
from dynamic_reference import dynamic_conv, dynamic_tolerance
from packed_examples import EXAMPLES, every_example, kind_of
from sums import addend_of, expected_sum

import torch_qconv_prepack as qconv

STOCK_ENGINES = ("x86", "fbgemm", "qnnpack", "onednn")

every_setting = pytest.mark.parametrize("setting", STOCK_ENGINES)

ADDING = ConvCase("add", in_channels=12, out_channels=8, padding=(1,), per_channel=True)


def stock(name: str) -> Any:
    return ops.op(name, "quantized")


def pack_by_pytorchs_op(data: ConvData) -> Any:
    return stock(f"{kind_of(data)}_prepack")(*ops.pack_arguments(data))


# Packed by PyTorch's op, and of this package's own class.
FACES: dict[str, Callable[[ConvData], Any]] = {"pytorchs": pack_by_pytorchs_op, "own": ops.pack}

every_face = pytest.mark.parametrize("face", FACES)


@every_face
@every_setting
@every_example
def test_run_ops_are_right_whatever_engine_pytorch_has_selected(
    case: ConvCase, setting: str, face: str
) -> None:
    data = case.data()
    with ops.stock_engine(setting), qconv.enabled():
        params = FACES[face](data)
        assert_matches(ops.stock_run(data, params), data.expected())
        if not case.transposed:
            assert_matches(ops.stock_run(data, params, "_relu"), data.expected(relu=True))
            assert_matches(ops.stock_run(data, params), data.expected())


@every_face
@every_setting
@every_example
def test_unpack_ops_give_back_what_was_packed(case: ConvCase, setting: str, face: str) -> None:
    data = case.data()
    with ops.stock_engine(setting), qconv.enabled():
        weight, bias = stock(f"{kind_of(data)}_unpack")(FACES[face](data))
    assert torch.equal(weight, data.weight)
    assert bias is data.bias is None or torch.equal(bias, data.bias)


@every_face
@every_setting
@every_example
def test_dynamic_ops_return_the_real_numbers(case: ConvCase, setting: str, face: str) -> None:
    data = case.data()
    x = data.activation.dequantize() * 3.7
    with ops.stock_engine(setting), qconv.enabled():
        params = FACES[face](data)
        actual = stock(f"{kind_of(data)}_dynamic")(x, params)
    expected = dynamic_conv(x, data.weight, data.bias, data.geometry)
    tolerance = dynamic_tolerance(expected, data.bias, qconv.describe(params).engine)
    assert bool(((actual.double() - expected).abs() <= tolerance).all())


@every_face
@every_setting
@pytest.mark.parametrize("relu", [False, True], ids=["add", "add_relu"])
def test_adding_ops_are_right_under_every_engine(setting: str, relu: bool, face: str) -> None:
    data = ADDING.data()
    addend = addend_of(data, seed=3)
    before = addend.int_repr().clone()
    with ops.stock_engine(setting), qconv.enabled():
        y = stock("conv2d_add_relu" if relu else "conv2d_add")(
            data.activation, addend, FACES[face](data), data.output_scale, data.output_zero_point
        )
    assert_matches(y, expected_sum(data, addend, relu))
    assert torch.equal(addend.int_repr(), before)


@every_face
@pytest.mark.parametrize("case", [c for c in EXAMPLES if c.dims > 1], ids=str)
def test_accessor_ops_tell_what_was_packed(case: ConvCase, face: str) -> None:
    data = case.data()
    with qconv.enabled():
        params = FACES[face](data)
        for name in ("stride", "padding", "output_padding", "dilation"):
            value = stock(f"{kind_of(data)}_{name}")(params)
            assert value == list(getattr(case, name)), name
        assert stock(f"{kind_of(data)}_groups")(params) == case.groups
        assert stock(f"{kind_of(data)}_transpose")(params) == case.transposed


@every_face
def test_unpack_sizes_op_tells_what_was_packed(face: str) -> None:
    case = EXAMPLES[1]
    with qconv.enabled():
        sizes = stock("conv2d_unpack_sizes")(FACES[face](case.data()))
    lists = [list(case.stride), list(case.padding), list(case.dilation)]
    assert list(sizes) == [list(case.weight_shape), [case.out_channels], *lists, case.groups]


@every_face
@pytest.mark.parametrize("suffix", ["", "_relu"])
@pytest.mark.parametrize("case", EXAMPLES[1:3], ids=str)
def test_older_overloads_are_right(case: ConvCase, suffix: str, face: str) -> None:
    data = case.data()
    arguments = [case.stride, case.padding, case.dilation, case.groups]
    run = stock(kind_of(data) + suffix)
    with qconv.enabled():
        y = run(
            data.activation, FACES[face](data), *arguments, data.output_scale,
            data.output_zero_point,
        )  # fmt: skip
    assert_matches(y, data.expected(relu=bool(suffix)))


@every_face
@pytest.mark.parametrize(
    ("name", "case"),
    [("conv2d", EXAMPLES[1]), ("conv2d_relu", EXAMPLES[1]),
     ("conv_transpose1d", EXAMPLES[3]), ("conv_transpose2d", EXAMPLES[4])],
    ids=lambda value: str(value),
)  # fmt: skip
def test_ops_of_the_other_namespace_are_right(name: str, case: ConvCase, face: str) -> None:
    data = case.data()
    with qconv.enabled():
        y = ops.op(name, "_quantized")(
            data.activation, FACES[face](data), data.output_scale, data.output_zero_point
        )
    assert_matches(y, data.expected(relu=name.endswith("relu")))


def of_another_kind(kind: Kind) -> Kind:
    return next(k for k in KINDS if k.transposed != kind.transposed and k.dims == kind.dims)


@every_kind
def test_an_object_of_another_kind_is_refused(kind: Kind) -> None:
    other = of_another_kind(kind)
    with qconv.enabled():
        params = other.prepack().as_quantized()
        start = f"{kind}: packed params must come from the prepack op of the same kind, got params "
        run, x = stock(str(kind)), quint8(kind.input_shape)
        assert_raises(ValueError, start, lambda: run(x, params, 0.1, 3))


def test_an_object_of_another_class_is_refused() -> None:
    x = quint8(CONV2D.input_shape)
    matrix = torch._make_per_tensor_quantized_tensor(torch.ones(2, 2, dtype=torch.int8), 0.1, 0)
    linear = torch.ops.quantized.linear_prepack(matrix, None)
    with qconv.enabled():
        start = "conv2d: packed params must be a torch_qconv_prepack.Conv2dPackedParams, got "
        conv3d = KINDS[2].prepack()
        assert_raises(TypeError, start, lambda: stock("conv2d")(x, conv3d, 0.1, 3))
        # Not this package's: the error is PyTorch's.
        with pytest.raises(RuntimeError, match="custom class type"):
            stock("conv2d")(x, linear, 0.1, 3)


# What a prepack op of this package refuses, PyTorch's refuses as well while the mode is on.
@every_kind
def test_bad_arguments_give_this_packages_errors(kind: Kind) -> None:
    lists = [[1] * kind.dims, [0] * kind.dims, *([[0] * kind.dims] * kind.transposed)]
    weight = torch._make_per_tensor_quantized_tensor(
        torch.ones(kind.weight_shape, dtype=torch.int8), 0.1, 0
    )
    prepack = stock(f"{kind}_prepack")
    with qconv.enabled():
        for wrong, start in (
            ({"stride": [0] * kind.dims}, "stride must be "),
            ({"groups": 0}, "groups must be "),
            ({"bias": torch.ones(3)}, "bias must "),
            ({"dilation": [1] * (kind.dims + 2)}, "dilation must "),
        ):
            arguments = {
                "weight": weight, "bias": None, "stride": lists[0], "padding": lists[1],
                "dilation": lists[0], "groups": 1,
                **({"output_padding": lists[2]} if kind.transposed else {}), **wrong,
            }  # fmt: skip
            assert_raises(ValueError, f"{kind}_prepack: {start}", lambda a=arguments: prepack(**a))


def test_1d_ops_take_each_number_twice_as_pytorchs_functions_give_them() -> None:
    case = ConvCase("pairs", dims=1, stride=(2,), padding=(1,))
    data = case.data()
    prepack = stock("conv1d_prepack")
    with qconv.enabled():
        params = prepack(data.weight, data.bias, [2, 2], [1, 1], [1, 1], 1)
        start = "conv1d_prepack: stride must have 1 element, got 2 ([2, 1])"
        unequal = data.weight, data.bias, [2, 1], [1], [1], 1
        assert_raises(ValueError, start, lambda: prepack(*unequal))
    assert qconv.describe(params).stride == (2,)
    assert_matches(ops.stock_run(data, params), data.expected())


def test_unpack_ops_take_objects_of_every_kind_as_pytorchs_modules_need() -> None:
    data = EXAMPLES[4].data()
    assert kind_of(data) == "conv_transpose2d"
    with qconv.enabled():
        weight, _ = stock("conv2d_unpack")(pack_by_pytorchs_op(data))
    assert torch.equal(weight, data.weight)


@every_example
def test_objects_keep_working_when_it_is_off(case: ConvCase) -> None:
    data = case.data()
    with qconv.enabled():
        params = pack_by_pytorchs_op(data)
        expected = ops.stock_run(data, params).int_repr()
    assert ops.is_ours(params)
    assert torch.equal(ops.stock_run(data, params).int_repr(), expected)
    weight, _ = stock(f"{kind_of(data)}_unpack")(params)
    assert torch.equal(weight, data.weight)
    assert torch.equal(ops.run(data, params).int_repr(), expected)
