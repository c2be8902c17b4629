"""torch.load of the container before PyTorch 1.6, while drop-in mode is on.

The numbers of such a file follow behind its objects, and torch.load reads them when it has built
those: a convolution, which is packed while it is built, is packed from memory that nobody has
written to yet. So here the storages are read when torch.load makes them, and it reads them again.
"""

from __future__ import annotations

import io
import sys
from typing import Any

import torch

from torch_qconv_prepack.checkpoint._nodes import FormatError
from torch_qconv_prepack.checkpoint._stream import Stream

_NAME = "_legacy_load"
_original: Any = getattr(torch.serialization, _NAME, None)


def install() -> None:
    """Let torch.load read storages first."""
    if _original is not None:
        setattr(torch.serialization, _NAME, _load)


def remove() -> None:
    """Give torch.load back its own way."""
    if _original is not None:
        setattr(torch.serialization, _NAME, _original)


def _load(file: Any, map_location: Any, *arguments: Any, **options: Any) -> Any:
    storages = _storages(file)
    if not storages:
        return _original(file, map_location, *arguments, **options)
    restore: Any = torch.serialization._get_restore_location(map_location)  # type: ignore[no-untyped-call]
    in_order = iter(storages)

    # torch.load asks for the place of each storage when it has made it, in the order of the pickle.
    def fill(storage: torch.UntypedStorage, location: str) -> Any:
        data = next(in_order, None)
        placed = restore(storage, location)
        if data is not None and placed.device.type == "cpu" and placed.nbytes() == data.nbytes:
            placed.copy_(data.untyped_storage())
        return placed

    return _original(file, fill, *arguments, **options)


def _storages(file: Any) -> list[torch.Tensor]:
    """Return what the file's storages hold, in the order in which its objects name them.

    Nothing where no weight is among them, or the file isn't sound, which torch.load will tell.
    """
    start = file.tell()
    try:
        source = file if hasattr(file, "readinto") else io.BytesIO(file.read())
        stream = Stream(source, source.tell())
        return stream.storages() if stream.has_weights and sys.byteorder == "little" else []
    except FormatError:
        return []
    finally:
        file.seek(start)
