"""Tensors from the calls that PyTorch's pickles make to rebuild them, checked before building."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeGuard

import torch
from torch import Tensor

from ._archive import Archive
from ._nodes import FormatError, Global, Node, PersistentId, show

STORAGE_DTYPES: dict[str, torch.dtype] = {
    "torch.FloatStorage": torch.float32,
    "torch.DoubleStorage": torch.float64,
    "torch.HalfStorage": torch.float16,
    "torch.BFloat16Storage": torch.bfloat16,
    "torch.ByteStorage": torch.uint8,
    "torch.CharStorage": torch.int8,
    "torch.ShortStorage": torch.int16,
    "torch.IntStorage": torch.int32,
    "torch.LongStorage": torch.int64,
    "torch.QInt8Storage": torch.qint8,
    "torch.QUInt8Storage": torch.quint8,
}
_ZERO_POINT_RANGES = {torch.qint8: (-128, 127), torch.quint8: (0, 255)}
_MAX_DIMS = 64
_INT64_MAX = 2**63 - 1
_PLAIN = "torch._utils._rebuild_tensor_v2"
_QUANTIZED = "torch._utils._rebuild_qtensor"
_PARAMETER = "torch._utils._rebuild_parameter"

Ints = tuple[int, ...]
View = tuple[int, Ints, Ints]  # storage offset, size and stride, in elements


class TensorReader:
    """Builds the tensors of one pickle, whose storages are in `folder` of `archive`."""

    def __init__(self, archive: Archive, folder: str) -> None:
        self._archive = archive
        self._folder = folder
        self._built: dict[Node, Tensor] = {}
        self._builders: dict[str, Callable[[tuple[object, ...]], Tensor]] = {
            _PLAIN: self._plain,
            _QUANTIZED: self._quantized,
        }

    def read(self, node: object) -> Tensor:
        """Return the tensor that `node` describes, on the CPU, with the strides of the file.

        Tensors that share a storage in the file share it here. Parameters become plain tensors.

        Raises:
            FormatError: `node` is no tensor, has a dtype not listed above, or does not fit its
                storage.
        """
        if isinstance(node, Node) and node.path == _PARAMETER and isinstance(node.args, tuple):
            node = node.args[0] if node.args else None
        if not isinstance(node, Node) or node.path not in self._builders:
            raise FormatError(f"expected a tensor, got {show(node)}")
        if not isinstance(node.args, tuple):
            raise FormatError(f"a tensor must have a tuple of arguments, got {show(node.args)}")
        if node not in self._built:
            self._built[node] = self._builders[node.path](node.args)
        return self._built[node]

    def _plain(self, args: tuple[object, ...]) -> Tensor:
        """Build from (storage, offset, size, stride, requires_grad, hooks[, metadata])."""
        if len(args) not in (6, 7) or any(args[6:]):
            raise FormatError(
                f"a tensor must have 6 arguments and no metadata, got {len(args)} arguments"
            )
        storage, dtype, view = self._view(*args[:4])
        if dtype in _ZERO_POINT_RANGES:
            raise FormatError(f"a tensor of {dtype} must have a quantizer, got none")
        return torch.empty(0, dtype=dtype).set_(storage, *view)

    def _quantized(self, args: tuple[object, ...]) -> Tensor:
        """Build from (storage, offset, size, stride, quantizer, requires_grad, hooks)."""
        if len(args) != 7:
            raise FormatError(f"a quantized tensor must have 7 arguments, got {len(args)}")
        storage, dtype, view = self._view(*args[:4])
        if dtype not in _ZERO_POINT_RANGES:
            raise FormatError(f"a quantized tensor must be of qint8 or quint8, got {dtype}")
        match args[4]:
            case (Global(path="torch.per_tensor_affine"), float(scale), int(zero_point)):
                _check_quantizer(
                    torch.tensor(scale, dtype=torch.float64), zero_point, zero_point, dtype
                )
                tensor = torch._empty_affine_quantized(
                    [0], scale=scale, zero_point=zero_point, dtype=dtype
                )
            case (Global(path="torch.per_channel_affine"), scales, zero_points, int(axis)):
                tensor = self._empty_per_channel(scales, zero_points, axis, view[1], dtype)
            case quantizer:
                raise FormatError(
                    "a quantizer must be (per_tensor_affine, scale, zero_point) or "
                    f"(per_channel_affine, scales, zero_points, axis), got {show(quantizer)}"
                )
        # Only set_ keeps the strides; the functions that create quantized tensors take none.
        return tensor.set_(storage, *view)

    def _empty_per_channel(
        self, scales: object, zero_points: object, axis: int, size: Ints, dtype: torch.dtype
    ) -> Tensor:
        if not 0 <= axis < len(size):
            raise FormatError(f"axis must be in [0, {len(size) - 1}], got {show(axis)}")
        scale = self._channel_values("scales", scales, size[axis], torch.float64)
        zero_point = self._channel_values("zero_points", zero_points, size[axis], torch.int64)
        low, high = zero_point.aminmax() if size[axis] else (0, 0)
        _check_quantizer(scale, int(low), int(high), dtype)
        empty = [size[axis] if d == axis else 0 for d in range(len(size))]
        return torch._empty_per_channel_affine_quantized(
            empty, scales=scale, zero_points=zero_point, axis=axis, dtype=dtype
        )

    def _channel_values(self, name: str, node: object, channels: int, dtype: torch.dtype) -> Tensor:
        # Else it could be quantized per channel in turn, and so on without end.
        if not isinstance(node, Node) or node.path != _PLAIN:
            raise FormatError(f"{name} must be a plain tensor, got {show(node)}")
        values = self.read(node)
        shape = tuple(values.shape)
        # Contiguous ones are used in place: else a small file could ask for many large copies.
        if values.dtype != dtype or shape != (channels,) or not values.is_contiguous():
            raise FormatError(
                f"{name} must be {channels} contiguous values of {dtype}, "
                f"got shape {show(shape)} of {values.dtype}"
            )
        return values

    def _view(
        self, storage: object, offset: object, size: object, stride: object
    ) -> tuple[torch.UntypedStorage, torch.dtype, View]:
        """Return the storage, its dtype, and where in it the tensor's elements are."""
        match storage:
            case PersistentId(("storage", Global(path), str(key), str(), int(count))):
                pass
            case _:
                raise FormatError(
                    "a tensor's storage must be ('storage', type, key, device, elements), "
                    f"got {show(storage)}"
                )
        dtype = STORAGE_DTYPES.get(path)
        if dtype is None:
            raise FormatError(f"a storage must be a numeric type of torch, got {show(path)}")
        view = _check_view(offset, size, stride, count)
        if math.prod(view[1]) * dtype.itemsize > self._archive.size:
            raise FormatError(f"a tensor must not be larger than its file, got size {show(size)}")
        return self._archive.storage(f"{self._folder}/{key}", dtype, count), dtype, view


def _check_view(offset: object, size: object, stride: object, count: int) -> View:
    """Check that a view lies inside a storage of `count` elements. Python's integers are exact."""
    view = (offset, size, stride)
    got = f"got offset {show(offset)}, size {show(size)}, stride {show(stride)}"
    if not _is_view(view):
        raise FormatError(
            f"a tensor must have an offset, sizes and as many strides, all >= 0, {got}"
        )
    offset, size, stride = view
    steps = sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    end = offset if 0 in size else offset + steps + 1
    if end > count:
        raise FormatError(f"a tensor must lie inside its storage of {show(count)} elements, {got}")
    return view


def _is_view(view: tuple[object, object, object]) -> TypeGuard[View]:
    offset, size, stride = view
    return (
        _are_sizes((offset,))
        and _are_sizes(size)
        and _are_sizes(stride)
        and len(size) == len(stride) <= _MAX_DIMS
    )


def _are_sizes(values: object) -> TypeGuard[Ints]:
    return isinstance(values, tuple) and all(
        type(value) is int and 0 <= value <= _INT64_MAX for value in values
    )


def _check_quantizer(scales: Tensor, low: int, high: int, dtype: torch.dtype) -> None:
    """Check `scales`, and zero points from `low` to `high`, for a tensor of `dtype`."""
    if not bool((scales.isfinite() & (scales > 0)).all()):
        raise FormatError("scales must be finite and above 0, got others")
    allowed = _ZERO_POINT_RANGES[dtype]
    if low < allowed[0] or high > allowed[1]:
        raise FormatError(
            f"zero points of {dtype} must be in {show(allowed)}, got {show((low, high))}"
        )
