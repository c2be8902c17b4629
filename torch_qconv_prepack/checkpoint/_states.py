"""Packed convolution states inside a PyTorch archive."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal, TypeAlias

from torch import Tensor

from ._archive import Archive
from ._nodes import FormatError, Node, show
from ._tensors import TensorReader
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

    Reads the zip archives of `torch.save` and `torch.jit.save`, PyTorch 1.6 and later, with
    packed convolutions of PyTorch's classes and of this package's. Objects of other classes are
    looked through, never built. The tensors of a state are checked against their
    storages; whether it describes a convolution is for `from_state` to check.

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
    try:
        with open(path, "rb") as file:
            archive = Archive(file)
            states = _states(archive, "data.pkl", "data", "")
            if "constants.pkl" in archive:
                states += _states(archive, "constants.pkl", "constants", "CONSTANTS")
            return states
    except FormatError as error:
        raise ValueError(f"read_states: {os.fspath(path)}: {error}") from None


def _states(archive: Archive, pickle: str, folder: str, name: str) -> list[SavedState]:
    tree = archive.read_pickle(pickle)
    if name and isinstance(tree, tuple):
        tree = {f"c{index}": constant for index, constant in enumerate(tree)}
    reader = _StateReader(TensorReader(archive, folder))
    states = []
    for place, node in walk(name, tree):
        class_name, state = _script_object(node)
        if class_name in PACKED_CLASSES:
            try:
                states.append(reader.read(place, class_name, state))
            except FormatError as error:
                raise FormatError(f"{show(place)}: {error}" if place else str(error)) from None
    return states


def _script_object(node: Node) -> tuple[str, object]:
    """Return class name and state of an object of a C++ class; the name is empty for others.

    TorchScript writes the class itself, torch.save a ScriptObject with state (state, class name).
    """
    if node.path in _SCRIPT_OBJECTS:
        match node.state:
            case (state, str(class_name)):
                return class_name, state
            case _:
                return "", None
    return node.path, node.state


class _StateReader:
    """Turns the parsed state of a packed object into the values that it stands for."""

    def __init__(self, tensors: TensorReader) -> None:
        self._tensors = tensors
        self._lists: dict[int, object] = {}  # by id, so that a list met again is not built again

    def read(self, name: str, class_name: str, state: object) -> SavedState:
        value = self._value(state, 0)
        if not isinstance(value, tuple) or not value:
            raise FormatError(f"state must be a tuple with values, got {show(state)}")
        return SavedState(name, class_name, PACKED_CLASSES[class_name], _version(value[0]), value)

    def _value(self, value: object, depth: int) -> object:
        if isinstance(value, Node) and (typed_list := value.typed_list) is not None:
            value = typed_list
        if value is None or isinstance(value, str | int | float):
            return value
        if not isinstance(value, tuple | list):
            return self._tensors.read(value)
        if depth >= _MAX_STATE_DEPTH:
            raise FormatError(f"state must nest at most {_MAX_STATE_DEPTH} lists, got more")
        if id(value) not in self._lists:
            self._lists[id(value)] = type(value)(self._value(item, depth + 1) for item in value)
        return self._lists[id(value)]


def _version(first: object) -> Version:
    """Return the version of a state, which its first element tells."""
    if isinstance(first, Tensor):
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
