"""Packed convolution states inside a PyTorch archive."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypeAlias

from torch import Tensor

from ._archive import Archive
from ._container import Container
from ._nodes import FormatError, Node, OtherFileError, show
from ._stream import Stream, is_stream
from ._tensors import FileTensor, TensorReader, as_quantized
from ._tree import walk

PACKED_CLASSES: dict[str, Literal[2, 3]] = {
    "__torch__.torch.classes.quantized.Conv2dPackedParamsBase": 2,
    "__torch__.torch.classes.quantized.Conv3dPackedParamsBase": 3,
    "__torch__.torch.classes.torch_qconv_prepack.Conv2dPackedParams": 2,
    "__torch__.torch.classes.torch_qconv_prepack.Conv3dPackedParams": 3,
}
Version: TypeAlias = Literal[1, 2, 3, "torch_qconv_prepack.1"]
_SCRIPT_OBJECTS = ("torch.ScriptObject", "torch._C.ScriptObject")
_MAX_STATE_DEPTH = 8


@dataclass(frozen=True)
class SavedState:
    """The state of one packed convolution, as its `__getstate__` wrote it.

    Attributes:
        name: where in the object tree it was found, such as `conv._packed_params`, `layers[0]` or
            (a constant of frozen TorchScript, as the archive's own code calls it) `CONSTANTS.c0`;
            empty if the file holds nothing else.
        class_name: the class of the saved object, such as
            `__torch__.torch.classes.quantized.Conv2dPackedParamsBase` of PyTorch or
            `__torch__.torch.classes.torch_qconv_prepack.Conv2dPackedParams` of this package.
        dims: 2 (also for 1-D convolutions) or 3.
        version: the format of `state`: 1, 2 or 3 of PyTorch's, or `"torch_qconv_prepack.1"`, which
            objects of this package write.
        state: tuples and lists of numbers, strings, None and tensors. In PyTorch's formats the
            weight is a tensor of dtype torch.qint8 with the strides that the file gives it, usually
            channels-last; this package's own state has no tensors.
    """

    name: str
    class_name: str
    dims: Literal[2, 3]
    version: Version
    state: tuple[object, ...]


def read_states(path: str | os.PathLike[str]) -> list[SavedState]:
    """Read the packed convolutions of a file without running anything in it.

    Reads what `torch.save` and `torch.jit.save` wrote, in zip archives and in the format
    before PyTorch 1.6, with packed convolutions of PyTorch's classes and of this package's. Objects
    of other classes are looked through, never built; `read` finds convolutions in those too. The
    tensors of a state are checked against their storages; whether it describes a convolution is for
    `from_state` to check.

    Args:
        path: the file.

    Returns:
        The states in the order of the file; an object met in several places has the name of the
        first. A file without any gives an empty list.

    Raises:
        ValueError: the file is damaged, or holds what PyTorch would not write.
        OSError: the file cannot be opened.

    Example:
        >>> import os, tempfile, torch, torch_qconv_prepack as qconv
        >>> weight = torch.quantize_per_tensor(torch.ones(8, 3, 3, 3), 0.1, 0, torch.qint8)
        >>> packed = torch.ops.quantized.conv2d_prepack(weight, None, [1, 1], [0, 0], [1, 1], 1)
        >>> path = os.path.join(tempfile.mkdtemp(), "model.pt")
        >>> torch.save({"stem": packed}, path)
        >>> [saved] = qconv.checkpoint.read_states(path)
        >>> saved.name, saved.version
        ('stem', 2)
        >>> params = qconv.from_state(saved.state, dims=saved.dims)
    """
    with errors_of("read_states", path), open_container(path) as container:
        states = []
        for pickle in container.pickles():
            reader = StateReader(TensorReader(container, pickle.folder), as_quantized)
            for place, node in walk(pickle.name, pickle.tree):
                class_name, state = script_object(node)
                if class_name in PACKED_CLASSES:
                    with naming(place):
                        value = reader.read(state)
                        version = state_version(value)
                    dims = PACKED_CLASSES[class_name]
                    states.append(SavedState(place, class_name, dims, version, value))
        return states


@contextmanager
def errors_of(function: str, path: str | os.PathLike[str]) -> Iterator[None]:
    """Make FormatErrors ValueErrors of a public function that reads `path`."""
    try:
        yield
    except FormatError as error:
        kind = type(error) if isinstance(error, OtherFileError) else ValueError
        raise kind(f"{function}: {os.fspath(path)}: {error}") from None


@contextmanager
def open_container(path: str | os.PathLike[str]) -> Iterator[Container]:
    """Open a file of either container."""
    with open(path, "rb") as file:
        yield Stream(file) if is_stream(file) else Archive(file)


@contextmanager
def naming(place: str) -> Iterator[None]:
    """Say in FormatErrors where in the object tree they come from."""
    try:
        yield
    except FormatError as error:
        raise FormatError(f"{show(place)}: {error}" if place else str(error)) from None


def script_object(node: object) -> tuple[str, object]:
    """Return class name and state of an object of a C++ class; the name is empty for others.

    TorchScript writes the class itself, torch.save a ScriptObject with state (state, class name).
    """
    if not isinstance(node, Node):
        return "", None
    if node.path in _SCRIPT_OBJECTS:
        match node.state:
            case (state, str(class_name)):
                return class_name, state
            case _:
                return "", None
    return node.path, node.state


class StateReader:
    """Turns the parsed state of an object into the values that it stands for."""

    def __init__(self, tensors: TensorReader, convert: Callable[[FileTensor], object]) -> None:
        """convert: makes of a tensor what stands for it in the states."""
        self._tensors = tensors
        self._convert = convert
        self._lists: dict[int, object] = {}  # by id, so that a list met again is not built again

    def read(self, state: object) -> tuple[object, ...]:
        """Return a state: tuples and lists of numbers, strings, None and tensors."""
        value = self._value(state, 0)
        if not isinstance(value, tuple) or not value:
            raise FormatError(f"state must be a tuple with values, got {show(state)}")
        return value

    def _value(self, value: object, depth: int) -> object:
        if isinstance(value, Node) and (typed_list := value.typed_list) is not None:
            value = typed_list
        if value is None or isinstance(value, str | int | float):
            return value
        if not isinstance(value, tuple | list):
            return self._convert(self._tensors.read(value))
        if depth >= _MAX_STATE_DEPTH:
            raise FormatError(f"state must nest at most {_MAX_STATE_DEPTH} lists, got more")
        if id(value) not in self._lists:
            self._lists[id(value)] = type(value)(self._value(item, depth + 1) for item in value)
        return self._lists[id(value)]


def state_version(state: tuple[object, ...]) -> Version:
    """Return the version of a state, which its first element tells."""
    first = state[0]
    if isinstance(first, FileTensor | Tensor):
        return 1
    if first == "2":
        return 2
    if type(first) is int and first == 3:
        return 3
    if first == "torch_qconv_prepack.1":
        return "torch_qconv_prepack.1"
    raise FormatError(
        'state must start with a tensor (version 1), "2", 3 or "torch_qconv_prepack.1", '
        f"got {show(first)}"
    )
