"""PyTorch's announcements that this package's users can do nothing about."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def without_quantized_tensor_warnings() -> Iterator[None]:
    """Hide that torch will remove its quantized dtypes, while this package makes such tensors.

    Where threads do so at once, the announcement may stay hidden.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.quantize_per_tensor, ")
        yield
