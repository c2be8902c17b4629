"""Convolutions in files that PyTorch wrote, read without running anything from the file."""

from ._read import read
from ._record import ConvRecord
from ._states import SavedState, read_states

__all__ = ["ConvRecord", "SavedState", "read", "read_states"]
