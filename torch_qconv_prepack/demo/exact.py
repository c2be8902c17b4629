"""The int8 network in exact arithmetic, sharing no code with the engines that it judges.

Sums of products of integers are carried in float64, which is exact below 2**53; scaling, bias and
rounding follow
    real = sum((x_q - x_zp) * w_q) * x_scale * w_scale + bias
    y_q  = clamp(round_half_to_even(real / y_scale) + y_zp, 0, 255)
with ReLU as a clamp at y_zp. All arrays are float64 [N, C, H, W] holding integers.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from torch import Tensor

from .network import ConvLayer
from .quantize import ActivationScale, QuantizedLayer, QuantizedNetwork

Array = npt.NDArray[np.float64]


def exact_logits(network: QuantizedNetwork, images: Tensor) -> npt.NDArray[np.int64]:
    """Run uint8 images [N, 1, 8, 8]; return the quantized logits [N, 10] in 0..255."""
    activation: Array = images.numpy().astype(np.float64)
    scale = network.input
    for layer in network.layers:
        if layer.layer.pool:
            # Same scale and zero point in and out, so the zero point drops out of the mean.
            activation = np.rint(activation.mean((2, 3), keepdims=True))
        activation = exact_layer(layer, activation, scale)
        scale = layer.output
    return activation[:, :, 0, 0].astype(np.int64)


def exact_layer(quantized: QuantizedLayer, activation: Array, scale: ActivationScale) -> Array:
    """Run one layer on uint8 values `activation` of the given scale; return uint8 values."""
    layer = quantized.layer
    centred = activation - scale.zero_point  # padding is then 0
    weight: Array = quantized.weight.numpy().astype(np.float64)
    convolve = _transposed if layer.transposed else _forward
    total = convolve(layer, centred, weight)
    weight_scale = quantized.weight_scales.numpy().reshape(1, -1, 1, 1)
    bias = quantized.bias.double().numpy().reshape(1, -1, 1, 1)
    real = total * (scale.scale * weight_scale) + bias
    steps = np.rint(real / quantized.output.scale) + quantized.output.zero_point
    lowest = quantized.output.zero_point if layer.relu else 0
    return np.asarray(np.clip(steps, lowest, 255))


def _forward(layer: ConvLayer, centred: Array, weight: Array) -> Array:
    """Sum over taps; weight is [out, in / groups, k, k]."""
    edge = (layer.padding, layer.padding)
    padded = np.pad(centred, ((0, 0), (0, 0), edge, edge))
    size = (padded.shape[2] - layer.kernel_size) // layer.stride + 1
    span = layer.stride * (size - 1) + 1
    total = np.zeros((len(centred), layer.out_channels, size, size))
    for row, column in np.ndindex(layer.kernel_size, layer.kernel_size):
        rows = slice(row, row + span, layer.stride)
        columns = slice(column, column + span, layer.stride)
        for inputs, outputs in _channel_groups(layer):
            tap = weight[outputs, :, row, column]
            pixels = padded[:, inputs, rows, columns]
            total[:, outputs] += np.einsum("oi,nihw->nohw", tap, pixels, optimize=True)
    return total


def _transposed(layer: ConvLayer, centred: Array, weight: Array) -> Array:
    """Each input pixel adds its multiple of the kernel; weight is [in, out / groups, k, k]."""
    size = centred.shape[2]
    full = layer.stride * (size - 1) + layer.kernel_size
    span = layer.stride * (size - 1) + 1
    total = np.zeros((len(centred), layer.out_channels, full, full))
    for row, column in np.ndindex(layer.kernel_size, layer.kernel_size):
        rows = slice(row, row + span, layer.stride)
        columns = slice(column, column + span, layer.stride)
        for inputs, outputs in _channel_groups(layer):
            tap = weight[inputs, :, row, column]
            pixels = centred[:, inputs]
            total[:, outputs, rows, columns] += np.einsum(
                "io,nihw->nohw", tap, pixels, optimize=True
            )
    kept = slice(layer.padding, full - layer.padding)
    return total[:, :, kept, kept]


def _channel_groups(layer: ConvLayer) -> list[tuple[slice, slice]]:
    """Return the input and the output channels of each group."""
    inputs, outputs = layer.in_channels // layer.groups, layer.out_channels // layer.groups
    return [
        (slice(g * inputs, (g + 1) * inputs), slice(g * outputs, (g + 1) * outputs))
        for g in range(layer.groups)
    ]
