"""Inputs too small, empty or too large for a convolution are refused; a batch of none is fine."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from bad_input import (
    CONV2D,
    CONV3D,
    CONV_TRANSPOSE2D,
    FORWARD,
    IN_CHANNELS,
    OUT_CHANNELS,
    TRANSPOSED,
    Kind,
    assert_raises,
    every_kind,
    message,
    quint8,
)
from torch import Tensor

SUFFIXES = ("", "_relu", "_dynamic")

suffixes = pytest.mark.parametrize("suffix", SUFFIXES)
forward = pytest.mark.parametrize("kind", FORWARD, ids=str)
transposed = pytest.mark.parametrize("kind", TRANSPOSED, ids=str)


def inputs(suffix: str, size: list[int], batch: int = 1) -> Tensor:
    shape = (batch, IN_CHANNELS, *size)
    return torch.ones(shape) if suffix == "_dynamic" else quint8(shape)


def sizes(kind: Kind, value: int, others: int = 6) -> list[list[int]]:
    """Sizes with `value` in one dimension after the other."""
    return [[value if d == i else others for d in range(kind.dims)] for i in range(kind.dims)]


@forward
@suffixes
@pytest.mark.parametrize("batch", [0, 1, 2])
def test_input_is_no_smaller_than_the_kernel(kind: Kind, suffix: str, batch: int) -> None:
    params = kind.prepack(padding=[1] * kind.dims, dilation=[2] * kind.dims)
    assert kind.call(suffix, params, inputs(suffix, [3] * kind.dims)).size(2) == 1
    for size in sizes(kind, 2):
        # 1-D too is told in the numbers that its user gave.
        start = (
            f"{kind}{suffix}: input of size {size} with padding {[1] * kind.dims} must not be "
            f"smaller than the kernel of size {[3] * kind.dims} with dilation {[2] * kind.dims}"
        )
        x = inputs(suffix, size, batch)
        assert_raises(ValueError, start, lambda x=x: kind.call(suffix, params, x))


@transposed
@suffixes
def test_padding_leaves_some_output(kind: Kind, suffix: str) -> None:
    for padding, outputs in ((1, 1), (2, 0), (40, 0)):
        params = kind.prepack(padding=[padding] * kind.dims)
        x = inputs(suffix, [1] * kind.dims)
        if outputs:
            assert kind.call(suffix, params, x).size(2) == outputs
        else:
            # 1-D too is told in the numbers that its user gave.
            start = (
                f"{kind}{suffix}: padding leaves no output: input size {[1] * kind.dims}, kernel "
                f"size {[3] * kind.dims}, stride {[1] * kind.dims}, padding {[padding] * kind.dims}"
            )
            assert_raises(ValueError, start, lambda p=params, x=x: kind.call(suffix, p, x))


@every_kind
@suffixes
@pytest.mark.parametrize("padding", [0, 5])
def test_no_spatial_dimension_is_empty(kind: Kind, suffix: str, padding: int) -> None:
    params = kind.prepack(padding=[padding] * kind.dims)
    for size in [*sizes(kind, 0), [0] * kind.dims]:
        start = f"{kind}{suffix}: input must have no empty spatial dimension, got size "
        x = inputs(suffix, size)
        assert_raises(ValueError, start, lambda x=x: kind.call(suffix, params, x))


@every_kind
@suffixes
def test_batch_of_none_gives_a_batch_of_none(kind: Kind, suffix: str) -> None:
    y = kind.call(suffix, kind.prepack(), inputs(suffix, [6] * kind.dims, batch=0))
    assert y.shape == (0, OUT_CHANNELS, *[8 if kind.transposed else 4] * kind.dims)
    assert y.dtype == (torch.float32 if suffix == "_dynamic" else torch.quint8)
    if suffix != "_dynamic":
        assert (y.q_scale(), y.q_zero_point()) == (0.1, 3)


@every_kind
def test_batch_of_none_is_checked_like_any_other(kind: Kind) -> None:
    params = kind.prepack()
    x = quint8((0, 5, *[6] * kind.dims))
    start = f"{kind}: input must have {IN_CHANNELS} channels, got 5"
    assert_raises(ValueError, start, lambda: kind.call("", params, x))
    x = quint8((0, *kind.input_shape[1:]), scale=0.0)
    assert_raises(ValueError, f"{kind}: input scale must", lambda: kind.call("", params, x))


# The outputs below have at least 2^50 elements: more bytes than an address space of 47 bits holds,
# so nothing is ever allocated, whatever the machine.
HUGE: dict[str, tuple[Kind, dict[str, Any]]] = {
    "padding": (CONV2D, {"padding": [2**24, 2**24]}),
    "padding-3d": (CONV3D, {"padding": [2**16] * 3}),
    "stride": (CONV_TRANSPOSE2D, {"stride": [2**22, 2**22]}),
    "dilation": (CONV_TRANSPOSE2D, {"dilation": [2**23, 2**23]}),
}


@pytest.mark.parametrize("name", HUGE)
@suffixes
def test_more_memory_than_there_is_raises(name: str, suffix: str) -> None:
    kind, arguments = HUGE[name]
    params = kind.prepack(**arguments)
    x = inputs(suffix, [6] * kind.dims)
    with pytest.raises(RuntimeError, match="can't allocate memory"):  # the allocator's own words
        kind.call(suffix, params, x)


@suffixes
@pytest.mark.parametrize("batch", [0, 1])
def test_outputs_that_cannot_be_counted_are_refused(suffix: str, batch: int) -> None:
    params = CONV3D.prepack(padding=[2**29 - 10] * 3)
    x = inputs(suffix, [6] * 3, batch)
    start = f"conv3d{suffix}: output of size "
    assert_raises(ValueError, start, lambda: CONV3D.call(suffix, params, x))


@transposed
@suffixes
def test_output_size_stays_below_2_to_the_31(kind: Kind, suffix: str) -> None:
    params = kind.prepack(stride=[2**29] * kind.dims)
    start = f"{kind}{suffix}: output size must be below 2^31 in every dimension, got 2684354563"
    x = inputs(suffix, [6] * kind.dims)
    text = message(ValueError, lambda: kind.call(suffix, params, x))
    assert text.startswith(start), text
    assert text.endswith("in dimension 0"), text
