"""Convolutions in files that PyTorch wrote, read without running anything from the file."""

from ._states import SavedState, read_states

__all__ = ["SavedState", "read_states"]
