"""The dynamic ops refuse what they can't quantize, and are right at the ends of float32's range."""

from __future__ import annotations

import math

import pytest
import torch
from bad_input import (
    CONV2D,
    IN_CHANNELS,
    KINDS,
    Kind,
    assert_raises,
    every_kind,
    message,
    qint8,
    quint8,
    with_storage,
)
from conv_case import ConvCase
from dynamic_reference import dynamic_conv
from ops import ENGINES, on_engines, op, pack
from reference import ConvGeometry
from torch import Tensor

engines = pytest.mark.parametrize("engine", ENGINES)


def assert_refused(kind: Kind, error: type[Exception], text: str, x: Tensor | None) -> None:
    dynamic, params = op(f"{kind}_dynamic"), kind.prepack()
    assert_raises(error, f"{kind}_dynamic: {text}", lambda: dynamic(x, params))


@every_kind
@pytest.mark.parametrize(
    "dtype",
    [torch.float64, torch.float16, torch.bfloat16, torch.int32, torch.uint8, torch.bool],
    ids=str,
)
def test_dtype_is_float32(kind: Kind, dtype: torch.dtype) -> None:
    x = torch.ones(kind.input_shape, dtype=dtype)
    assert_refused(kind, TypeError, f"input must have dtype torch.float32, got {dtype}", x)


@every_kind
def test_input_is_not_quantized_yet(kind: Kind) -> None:
    x = quint8(kind.input_shape)
    assert_refused(kind, TypeError, "input must have dtype torch.float32, got torch.quint8", x)


@every_kind
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("position", [0, -1])
def test_values_are_finite(kind: Kind, value: float, position: int) -> None:
    x = torch.rand(kind.input_shape)
    x.view(-1)[position] = value
    assert_refused(kind, ValueError, "input must be finite, got ", x)


def test_not_a_number_has_no_sign() -> None:
    x = torch.full(CONV2D.input_shape, math.nan)
    text = message(ValueError, lambda: CONV2D.call("_dynamic", CONV2D.prepack(), x))
    assert "got NaN" in text
    assert "-nan" not in text


@every_kind
def test_shape_is_that_of_the_op_and_the_weight(kind: Kind) -> None:
    for rank in set(range(7)) - {kind.dims + 2}:
        text = f"input must have {kind.dims + 2} dimensions [batch, channels, spatial...], got "
        assert_refused(kind, ValueError, f"{text}{rank} ", torch.ones([4] * rank))
    for channels in (0, 3, 5):
        x = torch.ones(1, channels, *[6] * kind.dims)
        text = f"input must have {IN_CHANNELS} channels, got {channels} "
        assert_refused(kind, ValueError, text, x)


@every_kind
def test_input_is_a_dense_tensor_on_the_cpu(kind: Kind) -> None:
    x = torch.ones(kind.input_shape)
    assert_refused(kind, TypeError, "input must be a tensor, got None", None)
    for layout, other in (("Sparse", x.to_sparse()), ("Mkldnn", x.to_mkldnn())):
        text = f"input must be a dense tensor, got layout {layout}"
        assert_refused(kind, TypeError, text, other)
    text = "input must be on the CPU, got a tensor on device meta"
    assert_refused(kind, ValueError, text, x.to("meta"))


@every_kind
@pytest.mark.parametrize("nbytes", [0, 4, 4 * 4 * 6 - 1])
def test_elements_lie_inside_the_storage(kind: Kind, nbytes: int) -> None:
    x = with_storage(torch.ones(kind.input_shape), nbytes)
    assert_refused(kind, ValueError, f"input of size {list(kind.input_shape)} and strides ", x)


@on_engines(KINDS, "kind")
def test_memory_may_lie_in_any_order(kind: Kind, engine: str) -> None:
    case = ConvCase("", dims=kind.dims, transposed=kind.transposed, in_channels=6, batch=2)
    data = case.data()
    params, dynamic = pack(data, engine), op(f"{kind}_dynamic")
    x = data.activation.dequantize()
    axes = tuple(reversed(range(x.dim())))
    views = {
        "channels last": x.movedim(1, -1).contiguous().movedim(-1, 1),
        "reversed axes": x.permute(axes).contiguous().permute(axes),
        "every second": torch.stack([x, x + 1000], dim=-1)[..., 0],
        "offset": torch.cat([x, x])[2:],
        "negated view": torch._neg_view(-x),
        "requires grad": x.clone().requires_grad_(),
    }
    expected = dynamic(x, params)
    for name, view in views.items():
        assert torch.equal(dynamic(view, params).detach(), expected), name
    expanded = x[:1].expand_as(x)
    assert torch.equal(dynamic(expanded, params), dynamic(expanded.contiguous(), params))


@engines
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("groups", [1, 8])
@pytest.mark.parametrize(("largest", "weight_scale"), [(1e30, 1e12), (1e-4, 1.2e-38)])
def test_product_of_the_scales_may_leave_float32(
    largest: float, weight_scale: float, groups: int, bias: bool, engine: str
) -> None:
    """Where a sum is 0, so is its product with a scale, however large the scale."""
    x = torch.zeros(1, 8, 6, 6)
    x[..., :3, :3] = largest
    weight = qint8((8, 8 // groups, 3, 3), weight_scale)
    real_bias = torch.full((8,), min(largest * weight_scale, 3e38)) if bias else None
    prepack = op("conv2d_prepack")
    params = prepack(weight, real_bias, [1, 1], [0, 0], [1, 1], groups, engine=engine)
    geometry = ConvGeometry((1, 1), (0, 0), (1, 1), groups)
    expected = dynamic_conv(x, weight, real_bias, geometry).float()  # inf where float32 ends
    actual = op("conv2d_dynamic")(x, params)
    # Below float32's normal range the last digit is worth 2^-149.
    torch.testing.assert_close(actual, expected, rtol=2.0**-22, atol=2.0**-149)


@engines
def test_largest_and_smallest_inputs_are_quantized(engine: str) -> None:
    weight = qint8((8, 4, 3, 3), 1e-3)
    params = op("conv2d_prepack")(weight, None, [1, 1], [0, 0], [1, 1], 1, engine=engine)
    geometry = ConvGeometry((1, 1), (0, 0), (1, 1))
    for largest in (3.4e38, 1e-38, 1e-45, 0.0):
        x = largest * (2 * torch.rand(1, 4, 6, 6) - 1)
        expected = dynamic_conv(x, weight, None, geometry).float()
        torch.testing.assert_close(op("conv2d_dynamic")(x, params), expected, rtol=1e-5, atol=0.0)
