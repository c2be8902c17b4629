"""The container of torch.save before PyTorch 1.6, which later ones write on request.

Five pickles, one behind the other, then the storages:

    a magic number, the protocol's version (1001), facts about the writer (not needed)
    the object tree
    the list of the storages' keys, in the order in which they follow
    for each of these a 64-bit number of elements, then the elements; all little-endian

How long an element is, only the object tree tells.
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Iterator
from typing import BinaryIO

import torch

from ._container import Container, Pickle, check_storage, read_bytes
from ._nodes import FormatError, Global, OtherFileError, PersistentId, show
from ._unpickler import parse

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_PICKLE = b"\x80"  # PROTO, with which every pickle of protocol 2 and later begins
_COUNT = struct.Struct("<q")
_ITEM_SIZES = {
    "Bool": 1,
    "Byte": 1,
    "Char": 1,
    "QInt8": 1,
    "QUInt8": 1,
    "Short": 2,
    "Half": 2,
    "BFloat16": 2,
    "Int": 4,
    "QInt32": 4,
    "Float": 4,
    "Long": 8,
    "Double": 8,
    "ComplexFloat": 8,
    "ComplexDouble": 16,
}


def is_stream(file: BinaryIO) -> bool:
    """Whether the file begins as this container does."""
    file.seek(0)
    return file.read(1) == _PICKLE


class Stream(Container):
    """A stream of pickles and storages, which begins at `start`.

    `has_weights`: whether a storage may be the weight of a quantized convolution.
    """

    def __init__(self, file: BinaryIO, start: int = 0) -> None:
        self._file = file
        self.size = file.seek(0, os.SEEK_END)
        file.seek(start)
        pickles = _Window(file, self.size)
        if parse(pickles) != _MAGIC:
            raise OtherFileError(
                "expected a file of torch.save, which begins with a magic number, got a pickle of "
                "something else"
            )
        if (protocol := parse(pickles)) != _PROTOCOL:
            raise FormatError(f"protocol must be {_PROTOCOL}, got {show(protocol)}")
        parse(pickles)
        persistent_ids: list[PersistentId] = []
        self._tree = parse(pickles, persistent_ids)
        keys = parse(pickles)
        sizes = _item_sizes(persistent_ids)
        self._in_order = list(sizes)
        self.has_weights = any(map(_is_of_weight, persistent_ids))
        self._places = self._find_storages(keys, sizes)
        self._storages: dict[str, torch.Tensor] = {}

    def pickles(self) -> Iterator[Pickle]:
        """Yield the object tree."""
        yield Pickle("", "", self._tree)

    def storage(self, folder: str, key: str, dtype: torch.dtype, count: int) -> torch.Tensor:
        """Return the elements of one of the storages."""
        data = check_storage(key, self._read(key), dtype, count)
        if sys.byteorder == "big":
            data = data.reshape(-1, dtype.itemsize).flip(1).flatten()
        return data

    def storages(self) -> list[torch.Tensor]:
        """Return the bytes of all storages, in the order in which the object tree names them."""
        return [self._read(key) for key in self._in_order]

    def _read(self, key: str) -> torch.Tensor:
        data = self._storages.get(key)
        if data is None:
            if key not in self._places:
                raise FormatError(f"file must have a storage {show(key)}, got none of that key")
            offset, nbytes = self._places[key]
            self._file.seek(offset)
            data = read_bytes(self._file, nbytes, f"storage {show(key)}")
            self._storages[key] = data
        return data

    def _find_storages(
        self, keys: object, item_sizes: dict[str, int]
    ) -> dict[str, tuple[int, int]]:
        """Return the place of each storage's first element and its bytes, from here on."""
        if not isinstance(keys, list):
            raise FormatError(f"storages' keys must be a list, got {show(keys)}")
        places: dict[str, tuple[int, int]] = {}
        offset = self._file.tell()
        for key in keys:
            if not isinstance(key, str) or key in places or key not in item_sizes:
                raise FormatError(
                    f"storages' keys must be those of the object tree, each once, got {show(key)}"
                )
            self._file.seek(offset)
            field = self._file.read(_COUNT.size)
            count = _COUNT.unpack(field)[0] if len(field) == _COUNT.size else -1
            offset += _COUNT.size
            nbytes = count * item_sizes[key]
            if count < 0 or nbytes > self.size - offset:
                raise FormatError(
                    f"storage {show(key)} must lie in the file of {self.size} bytes, got "
                    + (f"{show(count)} elements at byte {offset}" if count >= 0 else "none")
                )
            places[key] = (offset, nbytes)
            offset += nbytes
        return places


def _item_sizes(persistent_ids: list[PersistentId]) -> dict[str, int]:
    """Return the bytes of an element of each storage that the object tree names."""
    sizes: dict[str, int] = {}
    for identity in persistent_ids:
        match identity.value:
            case ("storage", Global(path), str(key), str(), int(), *view):
                name = path.removeprefix("torch.").removesuffix("Storage")
                size = _ITEM_SIZES.get(name, 0)
                if not size or path != f"torch.{name}Storage":
                    expected = "a storage must be a numeric type of torch"
                    raise FormatError(f"{expected}, got {show(path)}")
                if any(part is not None for part in view):
                    raise FormatError(f"storage {show(key)} must be no view of another, got one")
                if sizes.setdefault(key, size) != size:
                    raise FormatError(f"storage {show(key)} must have one type, got several")
            case ("module", *_):
                pass
            case _:
                raise FormatError(f"expected a storage or a module, got {show(identity.value)}")
    return sizes


def _is_of_weight(identity: PersistentId) -> bool:
    match identity.value:
        case ("storage", Global("torch.QInt8Storage"), *_):
            return True
        case _:
            return False


class _Window:
    """A file that no length in it can make read more than is there."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size

    def read(self, count: int) -> bytes:
        return self._file.read(min(count, max(self._size - self._file.tell(), 0)))

    def readline(self) -> bytes:
        return self._file.readline()

    def tell(self) -> int:
        return self._file.tell()
