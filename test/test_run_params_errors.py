"""Ops refuse packed params of another kind, another library, or none at all."""

from __future__ import annotations

from typing import Any

import ops
import pytest
import torch
from bad_input import (
    CONV1D,
    CONV2D,
    CONV3D,
    CONV_TRANSPOSE2D,
    KINDS,
    Kind,
    assert_raises,
    every_kind,
    message,
    qint8,
    quint8,
)
from torch import nn

SUFFIXES = ("", "_relu", "_dynamic", "_unpack")

suffixes = pytest.mark.parametrize("suffix", SUFFIXES)


def same_class(first: Kind, second: Kind) -> bool:
    """1-D and 2-D params are objects of one class."""
    return (first.dims == 3) == (second.dims == 3)


@suffixes
@pytest.mark.parametrize(
    ("kind", "other"), [(k, o) for k in KINDS for o in KINDS if k != o], ids=str
)
def test_params_come_from_the_prepack_op_of_the_same_kind(
    kind: Kind, other: Kind, suffix: str
) -> None:
    params = other.prepack()
    # Whatever the input, for the op's own kind or for that of the params.
    for owner in (kind, other):
        x = torch.ones(owner.input_shape) if suffix == "_dynamic" else quint8(owner.input_shape)
        if same_class(kind, other):
            text = message(ValueError, lambda x=x: kind.call(suffix, params, x))
            assert text.startswith(f"{kind}{suffix}: packed params must come from the prepack op")
            assert f" {other}" in text
        else:
            text = message(TypeError, lambda x=x: kind.call(suffix, params, x))
            assert text.startswith(f"{kind}{suffix}: packed params must ")
            own_class = f"torch_qconv_prepack.Conv{3 if other.dims == 3 else 2}dPackedParams"
            assert own_class in text, text


def stock_params(kind: Kind) -> Any:
    lists: list[list[int]] = [[1] * kind.dims, [0] * kind.dims]
    if kind.transposed:
        lists.append([0] * kind.dims)
    with ops.stock_engine("fbgemm"):
        prepack = ops.op(f"{kind}_prepack", "quantized")
        return prepack(qint8(kind.weight_shape), None, *lists, [1] * kind.dims, 1)


@suffixes
@every_kind
def test_params_of_pytorch_are_refused_with_the_way_to_convert_them(
    kind: Kind, suffix: str
) -> None:
    text = message(TypeError, lambda: kind.call(suffix, stock_params(kind)))
    assert text.startswith(f"{kind}{suffix}: packed params must "), text
    assert f"quantized.Conv{3 if kind.dims == 3 else 2}dPackedParamsBase" in text, text
    assert "from_quantized()" in text


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
@suffixes
@every_kind
def test_other_objects_of_torch_are_refused(kind: Kind, suffix: str) -> None:
    others = (
        torch.ops.quantized.linear_prepack(qint8((8, 4)), None),
        torch.jit.script(nn.Linear(2, 2)),
    )
    for params, name in zip(others, ("LinearPackedParamsBase", "Linear"), strict=True):
        text = message(TypeError, lambda p=params: kind.call(suffix, p))
        assert text.startswith(f"{kind}{suffix}: packed params must "), text
        assert name in text


def test_classes_are_named_as_python_users_know_them() -> None:
    for params in (stock_params(CONV2D), CONV3D.prepack()):
        text = message(TypeError, lambda p=params: CONV2D.call("", p))
        assert "__torch__" not in text
        assert "compilation unit" not in text


def test_own_params_of_another_class_are_not_told_to_convert() -> None:
    # from_quantized() takes PyTorch's objects, and would refuse this one.
    assert "from_quantized" not in message(TypeError, lambda: CONV2D.call("", CONV3D.prepack()))


@suffixes
@every_kind
@pytest.mark.parametrize(
    "value", [None, 3, "a", object(), [1], qint8((8, 4, 3, 3)), nn.Linear(1, 1)], ids=type
)
def test_what_is_no_object_of_torch_is_refused_by_torch(
    kind: Kind, suffix: str, value: Any
) -> None:
    # PyTorch's parser of arguments comes first, in its own words and with its own class of error.
    argument = "packed_weights" if suffix == "_unpack" else "packed_weight"
    text = message(RuntimeError, lambda: kind.call(suffix, value))
    assert f"for argument '{argument}'" in text


def repeated(kind: Kind, **changes: Any) -> tuple[Any, ...]:
    """The arguments of prepack that the older form of the run ops takes again."""
    arguments = {
        "stride": [1] * kind.dims,
        "padding": [0] * kind.dims,
        "dilation": [1] * kind.dims,
        "groups": 1,
        **changes,
    }
    return tuple(arguments.values())


@pytest.mark.parametrize("suffix", ["", "_relu"])
@pytest.mark.parametrize("kind", [CONV2D, CONV3D], ids=str)
def test_repeated_arguments_must_equal_the_packed_ones(kind: Kind, suffix: str) -> None:
    op, params, x = ops.op(f"{kind}{suffix}"), kind.prepack(), quint8(kind.input_shape)
    y = op(x, params, *repeated(kind), 0.1, 3)
    assert torch.equal(y.int_repr(), op(x, params, 0.1, 3).int_repr())
    changes: list[dict[str, Any]] = [
        {"stride": [1] * (kind.dims - 1) + [2]},
        {"padding": [0] * (kind.dims - 1) + [1]},
        {"dilation": [2] + [1] * (kind.dims - 1)},
        {"groups": 2},
        {"stride": [1]},
        {"padding": []},
        {"dilation": [2**62] * kind.dims},
        {"groups": 0},
    ]
    start = f"{kind}{suffix}: arguments must equal the packed ones, stride {[1] * kind.dims}, "
    for change in changes:
        arguments = repeated(kind, **change)
        assert_raises(ValueError, start, lambda a=arguments: op(x, params, *a, 0.1, 3))


def test_the_older_form_checks_the_kind_too() -> None:
    x = quint8(CONV2D.input_shape)
    for other in (CONV1D, CONV_TRANSPOSE2D):
        params = other.prepack()
        lists = (list(params.stride()), list(params.padding()), list(params.dilation()), 1)
        start = "conv2d: packed params must come from the prepack op"
        assert_raises(
            ValueError, start, lambda p=params, a=lists: ops.op("conv2d")(x, p, *a, 0.1, 3)
        )


@pytest.mark.parametrize("kind", [CONV2D, CONV3D], ids=str)
def test_pytorchs_ops_refuse_our_object_under_its_own_class(kind: Kind) -> None:
    op = ops.op(str(kind), "quantized")
    x = quint8(kind.input_shape)
    assert op(x, kind.prepack().as_quantized(), 0.1, 3).shape[1] == 8
    with pytest.raises(RuntimeError, match="Tried to convert an IValue"):  # PyTorch's words
        op(x, kind.prepack(), 0.1, 3)
    other = CONV3D if kind == CONV2D else CONV2D
    with pytest.raises(RuntimeError, match="Tried to convert an IValue"):
        op(x, other.prepack().as_quantized(), 0.1, 3)


@every_kind
def test_pytorchs_ops_pass_on_what_our_object_refuses(kind: Kind) -> None:
    op, params = ops.op(str(kind), "quantized"), kind.prepack().as_quantized()
    x = quint8((1, 5, *[6] * kind.dims))
    start = f"{kind}: input must have 4 channels"
    assert_raises(ValueError, start, lambda: op(x, params, 0.1, 3))
    x = quint8(kind.input_shape)
    assert_raises(ValueError, f"{kind}: output_scale must", lambda: op(x, params, 0.0, 3))
