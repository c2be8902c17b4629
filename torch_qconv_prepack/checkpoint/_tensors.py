"""Tensors from the calls that PyTorch's pickles make to rebuild them, checked before building.

Quantized tensors are read as their integers with a quantizer beside them, so that this needs none
of PyTorch's quantized dtypes, which it is about to retire.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeGuard

import torch
from torch import Tensor

from torch_qconv_prepack._deprecations import without_quantized_tensor_warnings

from ._container import Container
from ._nodes import FormatError, Global, Node, PersistentId, show


@dataclass(frozen=True)
class _QuantizedType:
    """How PyTorch calls a quantized dtype, what its integers are, and the range of zero points."""

    name: str
    integers: torch.dtype
    low: int
    high: int


@dataclass(frozen=True)
class _Storage:
    """What a pickle says of a storage: its type, its key in the file and its elements."""

    path: str
    key: str
    count: int


_DTYPES: dict[str, torch.dtype] = {
    "torch.FloatStorage": torch.float32,
    "torch.DoubleStorage": torch.float64,
    "torch.HalfStorage": torch.float16,
    "torch.BFloat16Storage": torch.bfloat16,
    "torch.ByteStorage": torch.uint8,
    "torch.CharStorage": torch.int8,
    "torch.ShortStorage": torch.int16,
    "torch.IntStorage": torch.int32,
    "torch.LongStorage": torch.int64,
}
_QUANTIZED_TYPES: dict[str, _QuantizedType] = {
    "torch.QInt8Storage": _QuantizedType("torch.qint8", torch.int8, -128, 127),
    "torch.QUInt8Storage": _QuantizedType("torch.quint8", torch.uint8, 0, 255),
}
_MAX_DIMS = 64
# Scales may serve several tensors, but looking at them for each must not take for ever: this often
# times the file's size, or this many.
_MAX_SHARING = 16
_MIN_EXAMINED = 1 << 24
_INT64_MAX = 2**63 - 1
_PLAIN = "torch._utils._rebuild_tensor_v2"
_QUANTIZED = "torch._utils._rebuild_qtensor"
_PARAMETER = "torch._utils._rebuild_parameter"

Ints = tuple[int, ...]
View = tuple[int, Ints, Ints]  # storage offset, size and stride, in elements


@dataclass(frozen=True, eq=False)
class FileTensor:
    """A tensor of a file.

    Attributes:
        values: the numbers, on the CPU, with the strides of the file; of a quantized tensor the
            integers, int8 or uint8.
        scales: None unless it is quantized; then float64, one element, or one per channel.
        zero_points: likewise, int64.
        axis: the channels' dimension; None for a quantized tensor with one scale for all.
    """

    values: Tensor
    scales: Tensor | None = None
    zero_points: Tensor | None = None
    axis: int | None = None

    @property
    def shown(self) -> str:
        """How errors call it."""
        return "a tensor"


def is_tensor(node: object) -> bool:
    """Whether a node calls for a tensor, quantized or not, that TensorReader might read."""
    return isinstance(node, Node) and node.path in (_PLAIN, _QUANTIZED, _PARAMETER)


def is_quantized(node: object) -> bool:
    """Whether a node calls for a quantized tensor."""
    return isinstance(node, Node) and node.path == _QUANTIZED


class TensorReader:
    """Builds the tensors of one pickle, whose storages are in `folder` of `container`."""

    def __init__(self, container: Container, folder: str) -> None:
        self._container = container
        self._folder = folder
        self._built: dict[Node, FileTensor] = {}
        self._lists: dict[int, Tensor] = {}  # by id: what is met again is not built again
        self._examined = 0  # scales
        self._builders: dict[str, Callable[[tuple[object, ...]], FileTensor]] = {
            _PLAIN: self._plain,
            _QUANTIZED: self._quantized,
        }

    def read(self, node: object) -> FileTensor:
        """Return the tensor that `node` describes.

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

    def _plain(self, args: tuple[object, ...]) -> FileTensor:
        """Build from (storage, offset, size, stride, requires_grad, hooks[, metadata])."""
        if len(args) not in (6, 7) or any(args[6:]):
            raise FormatError(
                f"a tensor must have 6 arguments and no metadata, got {len(args)} arguments"
            )
        where, view = self._view(*args[:4])
        if where.path in _QUANTIZED_TYPES:
            name = _QUANTIZED_TYPES[where.path].name
            raise FormatError(f"a tensor of {name} must have a quantizer, got none")
        return FileTensor(self._elements(where, _DTYPES[where.path], view))

    def _quantized(self, args: tuple[object, ...]) -> FileTensor:
        """Build from (storage, offset, size, stride, quantizer, requires_grad, hooks)."""
        if len(args) != 7:
            raise FormatError(f"a quantized tensor must have 7 arguments, got {len(args)}")
        where, view = self._view(*args[:4])
        if where.path not in _QUANTIZED_TYPES:
            got = _DTYPES[where.path]
            raise FormatError(f"a quantized tensor must be of qint8 or quint8, got {got}")
        kind = _QUANTIZED_TYPES[where.path]
        size = view[1]
        axis: int | None = None
        match args[4]:
            case (Global(path="torch.per_tensor_affine"), float(scale), int(zero_point)):
                scales = torch.tensor([scale], dtype=torch.float64)
                _check_zero_points(zero_point, zero_point, kind)
                zero_points = torch.tensor([zero_point])
            case (Global(path="torch.per_channel_affine"), scale_node, zero_point_node, int(dim)):
                if not 0 <= dim < len(size):
                    raise FormatError(f"axis must be in [0, {len(size) - 1}], got {show(dim)}")
                axis = dim
                scales = self._channels("scales", scale_node, size[dim], torch.float64)
                zero_points = self._channels("zero_points", zero_point_node, size[dim], torch.int64)
            case quantizer:
                raise FormatError(
                    "a quantizer must be (per_tensor_affine, scale, zero_point) or "
                    f"(per_channel_affine, scales, zero_points, axis), got {show(quantizer)}"
                )
        self._examined += scales.numel()
        if self._examined > max(_MAX_SHARING * self._container.size, _MIN_EXAMINED):
            raise FormatError(f"scales must be used {_MAX_SHARING} times at most, got more uses")
        if not bool((scales.isfinite() & (scales > 0)).all()):
            raise FormatError("scales must be finite and above 0, got others")
        if zero_points.numel():
            _check_zero_points(int(zero_points.min()), int(zero_points.max()), kind)
        return FileTensor(self._elements(where, kind.integers, view), scales, zero_points, axis)

    def _channels(self, name: str, node: object, channels: int, dtype: torch.dtype) -> Tensor:
        if (values := self._listed(name, node, dtype)) is None:
            # Else it could be quantized per channel in turn, and so on without end.
            if not isinstance(node, Node) or node.path != _PLAIN:
                raise FormatError(f"{name} must be a plain tensor or numbers, got {show(node)}")
            values = self.read(node).values
        shape = tuple(values.shape)
        # Contiguous ones are used in place: else a small file could ask for many large copies.
        if values.dtype != dtype or shape != (channels,) or not values.is_contiguous():
            raise FormatError(
                f"{name} must be {channels} contiguous values of {dtype}, "
                f"got shape {show(shape)} of {values.dtype}"
            )
        return values

    def _listed(self, name: str, node: object, dtype: torch.dtype) -> Tensor | None:
        """Return the numbers of a list, as PyTorch wrote them before 1.5, or None for no list."""
        if isinstance(node, Node) and (typed_list := node.typed_list) is not None:
            node = typed_list
        if not isinstance(node, list | tuple):
            return None
        if id(node) not in self._lists:
            wanted = float if dtype.is_floating_point else int
            if not all(type(value) is wanted for value in node) or any(
                type(value) is int and abs(value) > _INT64_MAX for value in node
            ):
                raise FormatError(f"{name} must be of type {wanted.__name__}, got {show(node)}")
            self._lists[id(node)] = torch.tensor(node, dtype=dtype)
        return self._lists[id(node)]

    def _view(
        self, storage: object, offset: object, size: object, stride: object
    ) -> tuple[_Storage, View]:
        """Return the storage, and where in it the tensor's elements are."""
        where = _storage(storage)
        if where.path not in _DTYPES and where.path not in _QUANTIZED_TYPES:
            raise FormatError(f"a storage must be a numeric type of torch, got {show(where.path)}")
        view = _check_view(offset, size, stride, where.count)
        itemsize = _DTYPES[where.path].itemsize if where.path in _DTYPES else 1
        if math.prod(view[1]) * itemsize > self._container.size:
            raise FormatError(f"a tensor must not be larger than its file, got size {show(size)}")
        return where, view

    def _elements(self, where: _Storage, dtype: torch.dtype, view: View) -> Tensor:
        content = self._container.storage(self._folder, where.key, dtype, where.count)
        return torch.empty(0, dtype=dtype).set_(content.untyped_storage(), *view)


def _storage(node: object) -> _Storage:
    match node:
        # Releases before 1.5 add a last None.
        case PersistentId(("storage", Global(path), str(key), str(), int(count), *rest)):
            if rest in ([], [None]):
                return _Storage(path, key, count)
    raise FormatError(
        f"a tensor's storage must be ('storage', type, key, device, elements), got {show(node)}"
    )


def as_quantized(tensor: FileTensor) -> Tensor:
    """Return the tensor as PyTorch had it, on the same memory."""
    values = tensor.values
    if tensor.scales is None or tensor.zero_points is None:
        return values
    dtype = torch.qint8 if values.dtype == torch.int8 else torch.quint8
    with without_quantized_tensor_warnings():
        if tensor.axis is None:
            empty = torch._empty_affine_quantized(
                [0],
                scale=tensor.scales.item(),
                zero_point=int(tensor.zero_points.item()),
                dtype=dtype,
            )
        else:
            channels = [size if dim == tensor.axis else 0 for dim, size in enumerate(values.shape)]
            empty = torch._empty_per_channel_affine_quantized(
                channels,
                scales=tensor.scales,
                zero_points=tensor.zero_points,
                axis=tensor.axis,
                dtype=dtype,
            )
    # Only set_ keeps the strides; the functions that create quantized tensors take none.
    view = (values.storage_offset(), values.shape, values.stride())
    return empty.set_(values.untyped_storage(), *view)


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


def _check_zero_points(low: int, high: int, kind: _QuantizedType) -> None:
    """Check zero points from `low` to `high`."""
    if low < kind.low or high > kind.high:
        raise FormatError(
            f"zero points of {kind.name} must be in {show((kind.low, kind.high))}, "
            f"got {show((low, high))}"
        )
