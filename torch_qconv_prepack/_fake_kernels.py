"""What the plain-tensor ops return, without data: for torch.compile and torch.export.

The ops check their arguments when they run; here only what decides the output's size is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

_NAMESPACE = "torch_qconv_prepack"


def _channels_last(
    tensor: Tensor, sizes: Sequence[int | torch.SymInt], dtype: torch.dtype
) -> Tensor:
    """An empty tensor of sizes [batch, channels, spatial...], the channels innermost in memory."""
    memory = [sizes[0], *sizes[2:], sizes[1]]
    return tensor.new_empty(memory, dtype=dtype).movedim(-1, 1)


def _prepack(weight: Tensor, *arguments: Any, **keywords: Any) -> Tensor:
    return _channels_last(weight, weight.shape, weight.dtype)


def _pointwise(
    op: str,
    qx: Tensor,
    qw: Tensor,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    output_dtype: torch.dtype | None,
) -> Tensor:
    if qx.dim() != qw.dim():
        raise ValueError(
            f"{op}: input must have {qw.dim()} dimensions [batch, channels, spatial...], "
            f"got {qx.dim()}"
        )
    if not len(stride) == len(padding) == len(dilation) == qw.dim() - 2:
        raise ValueError(
            f"{op}: stride, padding and dilation must have {qw.dim() - 2} elements, "
            f"got {list(stride)}, {list(padding)} and {list(dilation)}"
        )
    spatial = [
        (size + 2 * pad - spread * (kernel - 1) - 1) // step + 1
        for size, kernel, step, pad, spread in zip(
            qx.shape[2:], qw.shape[2:], stride, padding, dilation, strict=True
        )
    ]
    return _channels_last(qx, [qx.shape[0], qw.shape[0], *spatial], output_dtype or torch.uint8)


def _unary(op: str) -> Any:
    def fake(
        qx: Tensor,
        x_scale: Any,
        x_zero_point: Any,
        qw: Tensor,
        w_scale: Tensor,
        w_zero_point: Tensor,
        bias: Tensor | None,
        stride: list[int],
        padding: list[int],
        dilation: list[int],
        groups: int,
        output_scale: float,
        output_zero_point: int,
        output_dtype: torch.dtype | None,
        attr: str,
        scalars: list[Any],
        algorithm: str | None,
    ) -> Tensor:
        return _pointwise(op, qx, qw, stride, padding, dilation, output_dtype)

    return fake  # fmt: skip


def _binary(op: str) -> Any:
    def fake(
        qx: Tensor,
        x_scale: Any,
        x_zero_point: Any,
        qw: Tensor,
        w_scale: Tensor,
        w_zero_point: Tensor,
        qaccum: Tensor,
        bias: Tensor | None,
        stride: list[int],
        padding: list[int],
        dilation: list[int],
        groups: int,
        output_scale: float,
        output_zero_point: int,
        output_dtype: torch.dtype | None,
        accum_scale: float,
        accum_zero_point: int,
        binary_attr: str,
        alpha: Any,
        unary_attr: str | None,
        unary_scalars: list[Any],
        unary_algorithm: str | None,
    ) -> Tensor:
        return _pointwise(op, qx, qw, stride, padding, dilation, output_dtype)

    return fake  # fmt: skip


def register() -> None:
    """Give every plain-tensor op its fake kernel. Called once, when the package is imported."""
    torch.library.register_fake(f"{_NAMESPACE}::qconv_prepack", _prepack)
    for op in ("qconv_pointwise", "qconv1d_pointwise", "qconv2d_pointwise", "qconv3d_pointwise"):
        for overload, make in (
            ("", _unary),
            (".tensor", _unary),
            (".binary", _binary),
            (".binary_tensor", _binary),
        ):
            torch.library.register_fake(f"{_NAMESPACE}::{op}{overload}", make(op))
