"""Weights and biases of any memory layout just work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from comparison import assert_matches
from conv_case import ConvCase, ConvData
from ops import ENGINES, kind, on_engines, pack, run, supported
from torch import Tensor, nn

# Channel counts and kernel sizes differ, so that a confusion of the axes shows.
CASES = tuple(
    ConvCase(
        f"{kind(dims, transposed)}-{'per_channel' if per_channel else 'per_tensor'}",
        dims=dims,
        transposed=transposed,
        in_channels=6,
        out_channels=10,
        groups=2,
        kernel=(3, 2, 4)[:dims],
        per_channel=per_channel,
        weight_zero_points=True,
    )
    for dims in (1, 2, 3)
    for transposed in (False, True)
    for per_channel in (False, True)
)

engines = pytest.mark.parametrize("engine", ENGINES)


def check(data: ConvData, engine: str) -> None:
    """The data's convolution gives the reference's result, and unpacks to what was packed."""
    params = pack(data, engine)
    assert_matches(run(data, params), data.expected(engine=engine))
    weight, bias = params.unpack()
    if data.geometry.dims == 1:
        weight = weight.squeeze(2)  # held as 2-D with a height of 1
    assert torch.equal(weight.int_repr(), data.weight.int_repr())
    assert bias is not None
    assert data.bias is not None
    assert torch.equal(bias, data.bias.detach())


def offset(values: Tensor) -> Tensor:
    """The same values from the middle of a larger storage."""
    return torch.cat([torch.full_like(values, 77), values])[values.size(0) :]


def every_second(values: Tensor) -> Tensor:
    """The same values with others between them."""
    return torch.stack([values, torch.full_like(values, 77)], dim=-1)[..., 0]


def channels_last(values: Tensor) -> Tensor:
    return values.movedim(1, -1).contiguous().movedim(-1, 1)


def reversed_axes(values: Tensor) -> Tensor:
    """The same values with the first axis innermost in memory."""
    axes = tuple(reversed(range(values.dim())))
    return values.permute(axes).contiguous().permute(axes)


def expanded_channels(values: Tensor) -> Tensor:
    """The first entry of the first axis for all of them, with a stride of 0."""
    return values[:1].expand_as(values)


def expanded_kernel(values: Tensor) -> Tensor:
    """One tap for all of the last axis, with a stride of 0."""
    return values[..., :1].expand_as(values)


WEIGHT_LAYOUTS: tuple[Callable[[Tensor], Tensor], ...] = (
    offset,
    every_second,
    channels_last,
    reversed_axes,
    expanded_channels,
    expanded_kernel,
)


def with_layout(weight: Tensor, layout: Callable[[Tensor], Tensor]) -> Tensor:
    """The weight with its integers in another memory layout, per channel or not."""
    integers = layout(weight.int_repr())
    # PyTorch can't restride a per-channel tensor, but it takes such memory as it is.
    return weight.clone().set_(
        integers.untyped_storage(), integers.storage_offset(), integers.size(), integers.stride()
    )


@on_engines(CASES)
@pytest.mark.parametrize("layout", WEIGHT_LAYOUTS, ids=lambda layout: layout.__name__)
def test_weight_of_any_strides(
    case: ConvCase, layout: Callable[[Tensor], Tensor], engine: str
) -> None:
    data = supported(case, engine).data()
    weight = with_layout(data.weight, layout)
    assert weight.storage_offset() > 0 or weight.stride() != data.weight.stride()
    check(replace(data, weight=weight), engine)


BIAS_LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "offset": offset,
    "every second": every_second,
    "column": lambda bias: bias.reshape(-1, 1).expand(-1, 3).contiguous()[:, 1],
    "expanded": lambda bias: bias[:1].expand_as(bias),
    "negated view": lambda bias: torch._neg_view(bias),
    "requires grad": lambda bias: bias.clone().requires_grad_(),
    "parameter": nn.Parameter,
    "result of a differentiable function": lambda bias: 2 * bias.clone().requires_grad_(),
}


@on_engines(CASES)
@pytest.mark.parametrize("layout", BIAS_LAYOUTS)
def test_bias_of_any_strides_and_history(case: ConvCase, layout: str, engine: str) -> None:
    data = supported(case, engine).data()
    assert data.bias is not None
    check(replace(data, bias=BIAS_LAYOUTS[layout](data.bias)), engine)


@engines
def test_packed_bias_takes_no_part_in_autograd(engine: str) -> None:
    data = supported(CASES[0], engine).data()
    assert data.bias is not None
    params = pack(replace(data, bias=data.bias.clone().requires_grad_()), engine)
    assert not params.bias().requires_grad
