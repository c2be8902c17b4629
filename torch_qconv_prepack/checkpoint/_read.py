"""`read` and `read_migrated`: the convolutions of a file, whatever form they are in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from ._container import Pickle
from ._decode import (
    is_module,
    module_record,
    packed_record,
    readable_class_name,
    state_dict_record,
)
from ._migrated import MigratedFile, is_safetensors, read_safetensors, state_dict_tensors
from ._named_tensors import METADATA, digest, from_tensors, read_metadata, with_class_names
from ._nodes import FormatError, Node
from ._record import ConvRecord
from ._states import (
    PACKED_CLASSES,
    StateReader,
    errors_of,
    naming,
    open_container,
    script_object,
    state_version,
)
from ._tensors import TensorReader, is_quantized
from ._tree import MAX_NAME, walk

# A file may hold one tensor under several names, but not so often that records of a small file fill
# the memory of whoever copies them.
_MAX_SHARING = 16
_MIN_BYTES = 1 << 24

_WEIGHT, _BIAS, _SCALE, _ZERO_POINT = "weight", "bias", "scale", "zero_point"
_PACKED = "_packed_params"


def read(path: str | os.PathLike[str]) -> list[ConvRecord]:
    """Read the quantized convolutions of a file without running anything in it.

    Reads what PyTorch 1.3 and later wrote with `torch.save` (zip archives and the format before
    1.6) and `torch.jit.save`: modules of `torch.nn.quantized` and its relatives, packed objects of
    PyTorch's and of this package's classes, wherever they are in modules, lists and dicts, and the
    tensors that a state_dict has of such modules. Also the per-channel TorchScript files of PyTorch
    1.3 and 1.4, which PyTorch itself no longer loads.

    Args:
        path: the file.

    Returns:
        The records in the order of the file; an object met in several places has the name of the
        first. A file without any gives an empty list. Tensors share memory where they do in the
        file.

    Raises:
        ValueError: the file is damaged, or holds what PyTorch would not write.
        OSError: the file cannot be opened.

    Example:
        >>> import os, tempfile, torch, torch_qconv_prepack as qconv
        >>> model = torch.nn.Sequential(torch.ao.nn.quantized.Conv2d(3, 8, 3, stride=2))
        >>> path = os.path.join(tempfile.mkdtemp(), "model.pt")
        >>> torch.jit.save(torch.jit.script(model), path)
        >>> [record] = qconv.checkpoint.read(path)
        >>> record.name, record.kind, record.stride, record.format
        ('0', 'conv2d', (2, 2), 'module')
        >>> params = record.pack()
    """
    with errors_of("read", path):
        if _holds_safetensors(path):
            return from_tensors(read_safetensors("read", path))
        with open_container(path) as container:
            records: list[ConvRecord] = []
            for pickle in container.pickles():
                if isinstance(pickle.tree, dict) and METADATA in pickle.tree:
                    return from_tensors(state_dict_tensors(container))
                records += _Finder(pickle, TensorReader(container, pickle.folder)).find()
            _check_total(records, container.size)
            return _with_unique_names(records)


def read_migrated(path: str | os.PathLike[str], *, verify: bool = True) -> MigratedFile:
    """Read a file that `migrate` wrote, of either kind.

    Args:
        path: the file.
        verify: compare the checksum of all tensors, which takes as long as reading them all.

    Returns:
        The convolutions, the tensors that they are made of, and where they come from.

    Raises:
        ValueError: the file is damaged, or none that migrate wrote.
        MissingDependencyError: it is a safetensors file and that package is not installed.
        OSError: the file cannot be opened.

    Example:
        >>> import os, tempfile, torch, torch_qconv_prepack as qconv
        >>> folder = tempfile.mkdtemp()
        >>> old, new = os.path.join(folder, "old.pt"), os.path.join(folder, "new.pth")
        >>> torch.save({"stem": torch.ao.nn.quantized.Conv2d(3, 8, 3)}, old)
        >>> migrations = qconv.checkpoint.migrate(old, new)
        >>> migrated = qconv.checkpoint.read_migrated(new)
        >>> [record.name for record in migrated.records], migrated.source["name"]
        (['stem'], 'old.pt')
        >>> migrated.tensors["stem.weight"].dtype
        torch.int8
    """
    with errors_of("read_migrated", path):
        if _holds_safetensors(path):
            tensors = read_safetensors("read_migrated", path)
        else:
            with open_container(path) as container:
                tensors = state_dict_tensors(container)
        metadata = read_metadata(tensors)
        if verify and metadata.get("sha256") != digest(tensors):
            raise FormatError("tensors must match their checksum, got altered ones")
        records = with_class_names(from_tensors(tensors), metadata)
        source = metadata.get("source")
        return MigratedFile(
            tuple(records), tensors, source if isinstance(source, dict) else {}, metadata
        )


def _holds_safetensors(path: str | os.PathLike[str]) -> bool:
    with open(path, "rb") as file:
        return is_safetensors(file)


@dataclass(frozen=True)
class _Owner:
    """What a module tells of the packed object in its attribute `_packed_params`."""

    name: str
    class_name: str
    output: dict[str, Any]


@dataclass
class _Finder:
    """Finds what is a convolution in one pickle."""

    pickle: Pickle
    tensors: TensorReader
    owners: dict[int, _Owner] = field(default_factory=dict)  # by id of the packed object's node

    def find(self) -> Iterator[ConvRecord]:
        states = StateReader(self.tensors, lambda tensor: tensor)
        for place, value in walk(self.pickle.name, self.pickle.tree):
            with naming(place):
                if isinstance(value, dict):
                    yield from self._from_state_dict(place, value)
                    continue
                class_name, state = script_object(value)
                if class_name in PACKED_CLASSES:
                    yield self._from_packed(place, value, class_name, states.read(state))
                elif is_module(state):
                    name = readable_class_name(class_name)
                    yield module_record(place, name, states.read(state))
                elif isinstance(state, dict):
                    self._remember_owner(place, value, state)

    def _from_packed(
        self, place: str, node: Node, class_name: str, state: tuple[object, ...]
    ) -> ConvRecord:
        owner = self.owners.get(id(node))
        record = packed_record(
            owner.name if owner else place,
            owner.class_name if owner else readable_class_name(class_name),
            PACKED_CLASSES[class_name],
            state_version(state),
            state,
        )
        return replace(record, **owner.output) if owner else record

    def _remember_owner(self, place: str, node: Node, attributes: dict[object, object]) -> None:
        packed = attributes.get(_PACKED)
        if isinstance(packed, Node):
            scale, zero_point = attributes.get(_SCALE), attributes.get(_ZERO_POINT)
            known = isinstance(scale, float) and isinstance(zero_point, int)
            output = {"output_scale": scale, "output_zero_point": zero_point} if known else {}
            self.owners[id(packed)] = _Owner(place, readable_class_name(node.path), output)

    def _from_state_dict(self, place: str, values: dict[object, object]) -> Iterator[ConvRecord]:
        for key, value in values.items():
            if not isinstance(key, str) or not key.endswith(_WEIGHT) or not is_quantized(value):
                continue
            if len(key) > MAX_NAME:
                raise FormatError(f"names must have at most {MAX_NAME} characters, got more")
            prefix = key.removesuffix(_WEIGHT)
            module = f"{place}.{prefix}".removesuffix(".") if place else prefix.removesuffix(".")
            output = [values.get(prefix + name) for name in (_SCALE, _ZERO_POINT)]
            if (prefix and not prefix.endswith(".")) or None in output:
                continue
            with naming(prefix.removesuffix(".")):
                weight = self.tensors.read(value)
                if weight.values.dim() >= 3:  # else of a linear module
                    bias = values.get(prefix + _BIAS)
                    yield state_dict_record(
                        module, weight, self._tensor(bias), *map(self._tensor, output)
                    )

    def _tensor(self, value: object) -> object:
        return self.tensors.read(value) if isinstance(value, Node) else value


def _check_total(records: list[ConvRecord], size: int) -> None:
    nbytes = sum(record.weight.numel() for record in records)
    if nbytes > max(_MAX_SHARING * size, _MIN_BYTES):
        raise FormatError(
            f"file must have weights of at most {_MAX_SHARING} times its {size} bytes, got {nbytes}"
        )


def _with_unique_names(records: list[ConvRecord]) -> list[ConvRecord]:
    """Add #2, #3 and so on to names that occur again."""
    seen: dict[str, int] = {}
    unique = []
    for record in records:
        seen[record.name] = seen.get(record.name, 0) + 1
        name = f"{record.name}#{seen[record.name]}" if seen[record.name] > 1 else record.name
        seen.setdefault(name, 1)
        unique.append(replace(record, name=name))
    return unique
