"""Convolutions in files that PyTorch wrote: read without running anything, migrated to tensors."""

from ._inspect import ConvInfo, FileInfo, inspect
from ._migrate import Migration, migrate
from ._migrated import MigratedFile
from ._read import read, read_migrated
from ._record import ConvRecord
from ._states import SavedState, read_states

__all__ = [
    "ConvInfo",
    "ConvRecord",
    "FileInfo",
    "MigratedFile",
    "Migration",
    "SavedState",
    "inspect",
    "migrate",
    "read",
    "read_migrated",
    "read_states",
]
