"""From the float32 network to int8 weights and uint8 activations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .network import LAYERS, ConvLayer, FloatNetwork

_ACTIVATION_MAX = 255
_WEIGHT_MAX = 127  # symmetric: -128 is not used


@dataclass(frozen=True)
class ActivationScale:
    """real = (q - zero_point) * scale for uint8 q."""

    scale: float
    zero_point: int

    def quantize(self, real: Tensor) -> Tensor:
        """Return `real` as uint8 of the same shape."""
        steps = torch.round(real.double() / self.scale) + self.zero_point
        return steps.clamp(0, _ACTIVATION_MAX).to(torch.uint8)


@dataclass(frozen=True)
class QuantizedLayer:
    """A convolution of the int8 network.

    `weight` is int8 [out, in / groups, k, k], or [in, out / groups, k, k] if transposed, with zero
    point 0. `weight_scales` is float64: [out_channels], or [1] for one scale of the whole tensor.
    `bias` is float32 [out_channels], in the units of the real output.
    """

    layer: ConvLayer
    weight: Tensor
    weight_scales: Tensor
    bias: Tensor
    output: ActivationScale


@dataclass(frozen=True)
class QuantizedNetwork:
    """The int8 network: the scale of its input images, and its layers in order."""

    input: ActivationScale
    layers: tuple[QuantizedLayer, ...]


def quantize_network(network: FloatNetwork, images: Tensor) -> QuantizedNetwork:
    """Quantize `network`, with activation scales from the range seen over `images`."""
    with torch.inference_mode():
        outputs = [_activation_scale(activation) for activation in network.activations(images)]
    layers = []
    for layer, convolution, output in zip(LAYERS, network.convolutions, outputs, strict=True):
        weight = convolution.get_parameter("weight").detach()
        bias = convolution.get_parameter("bias").detach().clone()
        # Stock PyTorch, which runs the same network, refuses per-channel transposed weights.
        scales = _weight_scales(weight, per_channel=not layer.transposed)
        steps = torch.round(weight.double() / scales.reshape(-1, 1, 1, 1))
        int8_weight = steps.clamp(-_WEIGHT_MAX, _WEIGHT_MAX).to(torch.int8)
        layers.append(QuantizedLayer(layer, int8_weight, scales, bias, output))
    return QuantizedNetwork(_activation_scale(images), tuple(layers))


def _activation_scale(activation: Tensor) -> ActivationScale:
    """Spread 0..255 over the range of `activation`, widened to hold 0 exactly."""
    low = min(activation.min().item(), 0.0)
    high = max(activation.max().item(), 0.0)
    scale = _as_float32((high - low) / _ACTIVATION_MAX)
    return ActivationScale(scale, round(-low / scale))


def _weight_scales(weight: Tensor, per_channel: bool) -> Tensor:
    largest = weight.abs().amax((1, 2, 3)) if per_channel else weight.abs().amax().reshape(1)
    return (largest / _WEIGHT_MAX).float().double()


def _as_float32(scale: float) -> float:
    """Round as engines that keep scales in float32 do, so that the exact network has the same."""
    return float(np.float32(scale))
