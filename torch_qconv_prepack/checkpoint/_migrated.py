"""Migrated files: named tensors in a safetensors file or a state_dict, written and read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal, TypeAlias

import torch
from torch import Tensor

from torch_qconv_prepack._dependencies import require

from ._container import Container
from ._nodes import FormatError, show
from ._record import ConvRecord
from ._tensors import TensorReader, is_tensor

Kind: TypeAlias = Literal["safetensors", "state_dict"]
SUFFIXES: dict[str, Kind] = {
    ".safetensors": "safetensors",
    ".pth": "state_dict",
    ".pt": "state_dict",
}


@dataclass(frozen=True, eq=False)
class MigratedFile:
    """What `migrate` wrote.

    Attributes:
        records: the convolutions, in the order of their names; pack them with `record.pack()`, or
            hand their tensors to `torch.ops.torch_qconv_prepack.qconv_pointwise`.
        tensors: all tensors of the file by name (docs/migrated_files.md).
        source: the file that they come from: `name`, `size` in bytes, `sha256`.
        metadata: all that the file tells of itself.
    """

    records: tuple[ConvRecord, ...]
    tensors: Mapping[str, Tensor]
    source: Mapping[str, Any]
    metadata: Mapping[str, Any]


def write_tensors(file: BinaryIO, tensors: dict[str, Tensor], kind: Kind) -> None:
    """Write tensors, which share no memory, to an open file."""
    if kind == "safetensors":
        safetensors = require("migrate", "files", "safetensors.torch", "safetensors")
        file.write(safetensors.save(tensors))
    else:
        torch.save(tensors, file)


def is_safetensors(file: BinaryIO) -> bool:
    """Whether a file begins as a safetensors file: a length, and JSON of that length."""
    file.seek(0)
    head = file.read(9)
    size = file.seek(0, os.SEEK_END)
    return len(head) == 9 and head[8:] == b"{" and int.from_bytes(head[:8], "little") <= size - 8


def read_safetensors(function: str, path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file.

    Raises:
        FormatError: the file is damaged.
        MissingDependencyError: safetensors is not installed.
    """
    safetensors = require(function, "files", "safetensors")
    torch_part = require(function, "files", "safetensors.torch", "safetensors")
    try:
        tensors: dict[str, Tensor] = torch_part.load_file(path)
    except (safetensors.SafetensorError, KeyError, ValueError) as error:
        # KeyError: a dtype that this torch doesn't know.
        raise FormatError(f"expected a sound safetensors file, got one with {error}") from None
    return tensors


def state_dict_tensors(container: Container) -> dict[str, Tensor]:
    """Return the plain tensors of the dict that a file of torch.save holds."""
    pickle = next(container.pickles())
    if not isinstance(pickle.tree, dict):
        raise FormatError(f"file must hold a state_dict, got {show(pickle.tree)}")
    reader = TensorReader(container, pickle.folder)
    tensors = {
        name: reader.read(node).values
        for name, node in pickle.tree.items()
        if isinstance(name, str) and is_tensor(node)
    }
    # Else copies of a small file's tensors could fill the memory.
    if sum(tensor.nbytes for tensor in tensors.values()) > container.size:
        raise FormatError("tensors must not share memory, got more of them than bytes in the file")
    return tensors
