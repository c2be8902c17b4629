"""The memory that engines keep between runs."""

from __future__ import annotations

import torch


def release_scratch() -> int:
    """Free the memory that engines keep between runs, for the next one.

    That of the calling thread and of PyTorch's intra-op threads; a thread of yours that runs
    convolutions keeps its own until it calls this or ends. How much the native engine keeps at most
    is in docs/native.md.

    Returns:
        How many bytes were freed.

    Example:
        >>> import torch, torch_qconv_prepack as qconv
        >>> weight = torch.quantize_per_tensor(torch.randn(8, 8, 3, 3), 0.1, 0, torch.qint8)
        >>> params = torch.ops.torch_qconv_prepack.conv2d_prepack(
        ...     weight, None, [1, 1], [1, 1], [1, 1], 1, engine="native")
        >>> x = torch.quantize_per_tensor(torch.randn(1, 8, 9, 9), 0.1, 128, torch.quint8)
        >>> y = torch.ops.torch_qconv_prepack.conv2d(x, params, 0.1, 128)
        >>> qconv.release_scratch() > 0
        True
        >>> qconv.release_scratch()
        0
    """
    return int(torch.ops.torch_qconv_prepack._release_scratch())
