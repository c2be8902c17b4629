"""What the containers of torch.save and torch.jit.save have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import torch

from ._nodes import FormatError, show


@dataclass(frozen=True)
class Pickle:
    """One parsed pickle of a file.

    `name` is what names inside it start with, empty for the main one; `folder` says where its
    storages are.
    """

    name: str
    folder: str
    tree: object


class Container(ABC):
    """A checked view of one open file. `size` is the file's length in bytes.

    Raises:
        FormatError: from every method, where the file is not what it should be.
    """

    size: int

    @abstractmethod
    def pickles(self) -> Iterator[Pickle]:
        """Yield the pickles that may hold convolutions."""

    @abstractmethod
    def storage(self, folder: str, key: str, dtype: torch.dtype, count: int) -> torch.Tensor:
        """Return the `count` elements of a storage of the pickle with this `folder`.

        A storage that is asked for again gives the same memory again. The tensor is uint8, in this
        machine's byte order.
        """


def memory(data: torch.Tensor) -> memoryview:
    """Return a contiguous tensor's memory."""
    array: Any = data.numpy()
    return memoryview(array)


def read_bytes(file: BinaryIO, count: int, what: str) -> torch.Tensor:
    """Return the next `count` bytes as a uint8 tensor. The caller knows that the file has them."""
    data = torch.empty(count, dtype=torch.uint8)
    got = file.readinto(memory(data))  # type: ignore[attr-defined]
    if got < count:
        raise FormatError(f"{what} must have {count} bytes, got {got}")
    return data


def check_storage(what: str, data: torch.Tensor, dtype: torch.dtype, count: int) -> torch.Tensor:
    """Return `data` if it is `count` elements of `dtype`."""
    if data.numel() != count * dtype.itemsize:
        raise FormatError(
            f"storage {show(what)} must have {show(count)} elements of {dtype}, "
            f"got {data.numel()} bytes"
        )
    return data
