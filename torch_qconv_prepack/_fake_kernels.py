"""What the plain-tensor ops return, without data: for torch.compile and torch.export.

The ops check their arguments when they run; here only what decides the output's size is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

_NAMESPACE = "torch_qconv_prepack"
_POINTWISE = ("qconv_pointwise", "qconv1d_pointwise", "qconv2d_pointwise", "qconv3d_pointwise")


def register() -> None:
    """Give every plain-tensor op its fake kernel. Called once, when the package is imported."""
    torch.library.register_fake(f"{_NAMESPACE}::qconv_prepack", _prepack)
    for name in _POINTWISE:
        packet = getattr(getattr(torch.ops, _NAMESPACE), name)
        for overload in packet.overloads():
            op = getattr(packet, overload)
            torch.library.register_fake(op.name(), _pointwise_kernel(name, op._schema))


def _prepack(weight: Tensor, *arguments: Any, **keywords: Any) -> Tensor:
    return _channels_last(weight, weight.shape, weight.dtype)


def _pointwise_kernel(op: str, schema: torch.FunctionSchema) -> Callable[..., Tensor]:
    """The fake kernel of a run op, whose overloads share the arguments that matter here."""
    names = [argument.name for argument in schema.arguments]

    def kernel(*arguments: Any, **keywords: Any) -> Tensor:
        given = dict(zip(names, arguments, strict=False)) | keywords
        lists = [given[name] for name in ("stride", "padding", "dilation")]
        return _pointwise(op, given["qx"], given["qw"], lists, given["output_dtype"])

    return kernel


def _pointwise(
    op: str,
    qx: Tensor,
    qw: Tensor,
    lists: Sequence[Sequence[int]],
    output_dtype: torch.dtype | None,
) -> Tensor:
    """lists: stride, padding and dilation."""
    if qx.dim() != qw.dim():
        raise ValueError(
            f"{op}: input must have {qw.dim()} dimensions [batch, channels, spatial...], "
            f"got {qx.dim()}"
        )
    if any(len(values) != qw.dim() - 2 for values in lists):
        raise ValueError(
            f"{op}: stride, padding and dilation must have {qw.dim() - 2} elements, "
            f"got {', '.join(str(list(values)) for values in lists)}"
        )
    spatial = [
        (size + 2 * pad - spread * (kernel - 1) - 1) // step + 1
        for size, kernel, step, pad, spread in zip(qx.shape[2:], qw.shape[2:], *lists, strict=True)
    ]
    return _channels_last(qx, [qx.shape[0], qw.shape[0], *spatial], output_dtype or torch.uint8)


def _channels_last(
    tensor: Tensor, sizes: Sequence[int | torch.SymInt], dtype: torch.dtype
) -> Tensor:
    """An empty tensor of sizes [batch, channels, spatial...], the channels innermost in memory."""
    memory = [sizes[0], *sizes[2:], sizes[1]]
    return tensor.new_empty(memory, dtype=dtype).movedim(-1, 1)
