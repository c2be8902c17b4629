"""Valid calls of every op, to be spoiled one argument at a time, and tensors to spoil them with."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import ops
import pytest
import torch
from expecttest import assert_expected_inline
from torch import Tensor

IN_CHANNELS, OUT_CHANNELS = 4, 8

_INTEGERS = {torch.qint8: torch.int8, torch.quint8: torch.uint8, torch.qint32: torch.int32}


@dataclass(frozen=True)
class Kind:
    """The ops of one kind of convolution, with arguments that they accept.

    By default 4 channels become 8, the kernel is 3 and the input 6 in every dimension.
    """

    dims: int
    transposed: bool = False

    def __str__(self) -> str:
        return ops.kind(self.dims, self.transposed)

    @property
    def weight_shape(self) -> tuple[int, ...]:
        channels = (IN_CHANNELS, OUT_CHANNELS) if self.transposed else (OUT_CHANNELS, IN_CHANNELS)
        return (*channels, *[3] * self.dims)

    @property
    def input_shape(self) -> tuple[int, ...]:
        return (1, IN_CHANNELS, *[6] * self.dims)

    @property
    def output_shape(self) -> tuple[int, ...]:
        return (1, OUT_CHANNELS, *[8 if self.transposed else 4] * self.dims)

    def prepack(self, **changes: Any) -> Any:
        """Call the prepack op; changes: arguments by their names in the schema."""
        arguments: dict[str, Any] = {
            "bias": None,
            "stride": [1] * self.dims,
            "padding": [0] * self.dims,
            "dilation": [1] * self.dims,
            "groups": 1,
            **({"output_padding": [0] * self.dims} if self.transposed else {}),
            **changes,
        }
        if "weight" not in changes:
            arguments["weight"] = qint8(self.weight_shape)
        return ops.op(f"{self}_prepack")(**arguments)

    def call(self, suffix: str, params: Any, x: Any = None) -> Any:
        """Call the op with this suffix: "", "_relu", "_add", "_dynamic", "_unpack" and so on."""
        op = ops.op(f"{self}{suffix}")
        if suffix == "_unpack":
            return op(params)
        if suffix == "_dynamic":
            return op(torch.ones(self.input_shape) if x is None else x, params)
        x = quint8(self.input_shape) if x is None else x
        if suffix.startswith("_add"):
            return op(x, quint8(self.output_shape), params, 0.1, 3)
        return op(x, params, 0.1, 3)


CONV1D, CONV2D, CONV3D = Kind(1), Kind(2), Kind(3)
CONV_TRANSPOSE1D, CONV_TRANSPOSE2D, CONV_TRANSPOSE3D = Kind(1, True), Kind(2, True), Kind(3, True)
FORWARD = (CONV1D, CONV2D, CONV3D)
TRANSPOSED = (CONV_TRANSPOSE1D, CONV_TRANSPOSE2D, CONV_TRANSPOSE3D)
KINDS = (*FORWARD, *TRANSPOSED)

every_kind = pytest.mark.parametrize("kind", KINDS, ids=str)
every_run_op = pytest.mark.parametrize(
    ("kind", "suffix"), [(kind, suffix) for kind in KINDS for suffix in ("", "_relu")], ids=str
)


def quantized(
    shape: Sequence[int], dtype: torch.dtype, scale: float = 0.1, zero_point: int = 0
) -> Tensor:
    """Ones of a quantized dtype, per tensor. Scale and zero point aren't checked by anyone."""
    ones = torch.ones(tuple(shape), dtype=_INTEGERS[dtype])
    return torch._make_per_tensor_quantized_tensor(ones, scale, zero_point)


def qint8(shape: Sequence[int], scale: float = 0.05, zero_point: int = 0) -> Tensor:
    """A weight of ones."""
    return quantized(shape, torch.qint8, scale, zero_point)


def quint8(shape: Sequence[int], scale: float = 0.1, zero_point: int = 3) -> Tensor:
    """An activation of ones."""
    return quantized(shape, torch.quint8, scale, zero_point)


def per_channel(
    shape: Sequence[int],
    axis: int = 0,
    last_scale: float = 0.05,
    last_zero_point: int = 0,
) -> Tensor:
    """A weight of ones with scales 0.05 and zero points 0 but for the last channel's."""
    scales = torch.full((shape[axis],), 0.05, dtype=torch.float64)
    zero_points = torch.zeros(shape[axis], dtype=torch.int64)
    scales[-1:], zero_points[-1:] = last_scale, last_zero_point
    ones = torch.ones(tuple(shape), dtype=torch.int8)
    return torch._make_per_channel_quantized_tensor(ones, scales, zero_points, axis)


def with_storage(tensor: Tensor, nbytes: int) -> Tensor:
    """The tensor after its storage has shrunk to fewer bytes than its elements need."""
    tensor.untyped_storage().resize_(nbytes)
    return tensor


def message(error: type[Exception], call: Callable[[], object]) -> str:
    """The text of the error that `call` raises, which must be of that very class."""
    with pytest.raises(error) as caught:
        call()
    assert caught.type is error  # NotImplementedError is a RuntimeError, but not the reverse
    return str(caught.value)


def assert_raises(error: type[Exception], start: str, call: Callable[[], object]) -> None:
    """`call` raises an error of that very class whose text begins with `start`."""
    text = message(error, call)
    assert text.startswith(start), text


def assert_refused(
    kind: Kind, suffix: str, error: type[Exception], text: str, x: Any, **prepack: Any
) -> None:
    """The op refuses the input with an error of that class that begins with its name and text."""
    params = kind.prepack(**prepack)
    assert_raises(error, f"{kind}{suffix}: {text}", lambda: kind.call(suffix, params, x))


def assert_text(error: type[Exception], call: Callable[[], object], text: str) -> None:
    """`call` raises an error of that very class with that text, but for its line breaks."""
    lines = textwrap.wrap(message(error, call), 90, break_on_hyphens=False)
    assert_expected_inline("\n".join([*lines, ""]), text, skip=1)
