"""The zip container of torch.save and torch.jit.save: its members, pickles and storages.

All that is read stands uncompressed under one top folder:

    <root>/data.pkl               the object tree; its storages are <root>/data/<key>
    <root>/tensors/<key>          the same, where torch.save of PyTorch 1.4 wrote a zip
    <root>/constants.pkl          TorchScript's constants; theirs are <root>/constants/<key>
    <root>/byteorder              "little" or "big"; releases before 2.1 wrote little-endian only

Nothing is extracted to disk, and no member that is not asked for is read.
"""

from __future__ import annotations

import os
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import torch

from ._container import Container, Pickle, check_storage, memory, read_bytes
from ._nodes import FormatError, OtherFileError, show
from ._unpickler import parse

# parse() limits the number of opcodes, and so what it makes of a pickle, but for texts: those take
# up to four times their bytes. Objects of this package have their weights in such texts.
MAX_PICKLE_BYTES = 1 << 30

_LOCAL_HEADER = struct.Struct("<4s22xHH")  # signature, then the lengths of the name and the extra
_LOCAL_SIGNATURE = b"PK\x03\x04"
_ENCRYPTED = 0x1


class Archive(Container):
    """A zip archive."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = file.seek(0, os.SEEK_END)
        self._members = _directory(file, self.size)
        self._root = next(iter(self._members)).partition("/")[0]
        self._storages: dict[tuple[str, int], torch.Tensor] = {}
        byteorder = self._read_bytes("byteorder") if "byteorder" in self else b"little"
        if byteorder not in (b"little", b"big"):
            raise FormatError(
                f"byteorder must be little or big, got {show(byteorder.decode('latin-1'))}"
            )
        self._swap_bytes = byteorder.decode() != sys.byteorder

    def __contains__(self, name: str) -> bool:
        return f"{self._root}/{name}" in self._members

    def pickles(self) -> Iterator[Pickle]:
        """Yield the object tree, then TorchScript's constants, c0, c1 and so on."""
        yield Pickle("", "data", self._parse("data.pkl"))
        if "constants.pkl" in self:
            tree = self._parse("constants.pkl")
            if isinstance(tree, tuple):
                tree = {f"c{index}": constant for index, constant in enumerate(tree)}
            yield Pickle("CONSTANTS", "constants", tree)

    def storage(self, folder: str, key: str, dtype: torch.dtype, count: int) -> torch.Tensor:
        """Return the content of a member."""
        name = f"{folder}/{key}"
        if folder == "data" and name not in self and f"tensors/{key}" in self:
            name = f"tensors/{key}"
        data = self._storages.get((name, dtype.itemsize))
        if data is None:
            data = self._read(name)
            if self._swap_bytes and data.numel() % dtype.itemsize == 0:
                data = data.reshape(-1, dtype.itemsize).flip(1).flatten()
            self._storages[name, dtype.itemsize] = data
        return check_storage(name, data, dtype, count)

    def _parse(self, name: str) -> object:
        data = self._read_bytes(name)
        if len(data) > MAX_PICKLE_BYTES:
            raise FormatError(
                f"member {show(name)} must have at most {MAX_PICKLE_BYTES} bytes, got {len(data)}"
            )
        return parse(data)

    def _read_bytes(self, name: str) -> bytes:
        return self._read(name).numpy().tobytes()

    def _read(self, name: str) -> torch.Tensor:
        """Return the bytes of the member `name` (without the root folder) as uint8."""
        info = self._members.get(f"{self._root}/{name}")
        if info is None:
            raise FormatError(f"archive must have a member {show(name)}, got none of that name")
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
            raise FormatError(f"member {show(name)} must be stored uncompressed, got it compressed")
        if info.flag_bits & _ENCRYPTED:
            raise FormatError(f"member {show(name)} must be plain, got it encrypted")
        self._file.seek(info.header_offset)
        header = self._file.read(_LOCAL_HEADER.size)
        if len(header) < _LOCAL_HEADER.size or not header.startswith(_LOCAL_SIGNATURE):
            raise FormatError(f"member {show(name)} must start with a zip header, got none")
        _, name_length, extra_length = _LOCAL_HEADER.unpack(header)
        self._file.seek(name_length + extra_length, os.SEEK_CUR)
        data = read_bytes(self._file, info.file_size, f"member {show(name)}")
        # 0 is what torch.serialization.set_crc32_options(False) writes.
        if info.CRC and zlib.crc32(memory(data)) != info.CRC:
            raise FormatError(f"member {show(name)} must match its checksum, got altered bytes")
        return data


def _directory(file: BinaryIO, size: int) -> dict[str, zipfile.ZipInfo]:
    """Return the archive's members by full name, checked for what all reading relies on."""
    try:
        with zipfile.ZipFile(file) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError, struct.error) as error:
        raise FormatError(
            "expected a file of torch.save or torch.jit.save, which is a zip archive or, before "
            f"PyTorch 1.6, begins with a pickle, got neither ({error})"
        ) from None
    members = {info.filename: info for info in infos}
    if len(members) < len(infos):
        raise FormatError("archive must have each member once, got a name twice")
    inside = all(0 <= info.header_offset <= size - info.compress_size for info in infos)
    if not inside or sum(info.compress_size for info in infos) > size:
        raise FormatError(
            "archive must have its members in the file, one after the other, "
            f"got some beyond its {size} bytes or overlapping"
        )
    if not any(name.endswith("/data.pkl") and name.count("/") == 1 for name in members):
        raise OtherFileError("archive must have a member data.pkl in its top folder, got none")
    return members
