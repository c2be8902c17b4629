"""Tensors of torch's quantized dtypes, made from plain integers."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator

import torch
from torch import Tensor

from torch_qconv_prepack._deprecations import without_quantized_tensor_warnings

from .quantize import ActivationScale, QuantizedLayer


def quantized_activation(values: Tensor, scale: ActivationScale) -> Tensor:
    """Return uint8 `values` as a quint8 tensor of the same shape."""
    return torch._make_per_tensor_quantized_tensor(values, scale.scale, scale.zero_point)


def quantized_weight(quantized: QuantizedLayer) -> Tensor:
    """Return the weight as qint8: per channel along axis 0, or per tensor if transposed."""
    scales = quantized.weight_scales
    if quantized.layer.transposed:
        return torch._make_per_tensor_quantized_tensor(quantized.weight, scales.item(), 0)
    zero_points = torch.zeros(scales.shape, dtype=torch.int64)
    return torch._make_per_channel_quantized_tensor(quantized.weight, scales, zero_points, 0)


def average_pixels(activation: Tensor) -> Tensor:
    """Average quint8 [N, C, 4, 4] to [N, C, 1, 1] of the same scale, rounding half to even."""
    # Exact: a sum of 16 bytes and its sixteenth are float32 values.
    mean = activation.int_repr().float().mean((2, 3), keepdim=True).round().to(torch.uint8)
    scale = ActivationScale(activation.q_scale(), activation.q_zero_point())
    return quantized_activation(mean, scale)


@contextlib.contextmanager
def without_deprecation_warnings() -> Iterator[None]:
    """Hide that torch will remove these dtypes; stock PyTorch, which runs beside, needs them."""
    with without_quantized_tensor_warnings():
        warnings.filterwarnings("ignore", message="TypedStorage is deprecated")
        yield
