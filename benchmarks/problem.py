"""The tensors of a layer that is timed, and how far an output is from the float64 reference."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from suites import Layer
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1] / "test"))

from reference import ConvGeometry, quantized_conv

# Of the input and of the output. The input's makes padding and sums what they are in general.
INPUT_ZERO_POINT = 3
OUTPUT_ZERO_POINT = 10


@dataclass(frozen=True)
class Problem:
    """One layer with its tensors; full-range data, so that 16-bit intermediate sums saturate.

    activation: quint8 [batch, in_channels, *input_size], channels last in memory.
    weight: qint8, a scale for each output channel, or one alone for a transposed layer.
    bias: float32 [out_channels].
    """

    layer: Layer
    activation: Tensor
    weight: Tensor
    bias: Tensor
    output_scale: float
    output_zero_point: int

    @property
    def relu(self) -> bool:
        """Whether the layer is timed with ReLU: always where PyTorch has the op."""
        return not self.layer.transposed

    @property
    def run_op(self) -> str:
        return self.layer.op + ("_relu" if self.relu else "")

    @property
    def pack_arguments(self) -> tuple[Any, ...]:
        """What a prepack op takes."""
        layer = self.layer
        zeros = [0] * len(layer.kernel)
        lists = [list(layer.stride), list(layer.padding), *([zeros] * layer.transposed)]
        lists.append(list(layer.dilation))
        return (self.weight, self.bias, *lists, layer.groups)


@dataclass(frozen=True)
class Error:
    """Of an output against the reference: the largest in quanta, and the share that differs."""

    largest: int
    share: float


def make_problem(layer: Layer, batch: int = 1, input_zero_point: int = INPUT_ZERO_POINT) -> Problem:
    """Random values, the same for the same layer; the output fills 0..255."""
    generator = torch.Generator().manual_seed(layer.weight_bytes)
    dims = len(layer.kernel)

    values = torch.randint(
        0,
        256,
        (batch, *layer.input_size, layer.in_channels),
        dtype=torch.uint8,
        generator=generator,
    ).movedim(-1, 1)
    x_scale, w_scale = 0.02, 0.01
    weight = torch.randint(-127, 128, layer.weight_shape, dtype=torch.int8, generator=generator)
    if layer.transposed:
        qweight = torch._make_per_tensor_quantized_tensor(weight, w_scale, 0)
    else:
        scales = w_scale * (1 + torch.rand(layer.out_channels, generator=generator).double())
        qweight = torch._make_per_channel_quantized_tensor(
            weight, scales, torch.zeros(layer.out_channels, dtype=torch.long), 0
        )
    terms = math.prod(layer.kernel) * layer.in_channels // layer.groups
    # Standard deviation of uniform numbers: 73 for the weights; root mean square 144 for inputs.
    deviation = math.sqrt(terms) * 73 * 144 * x_scale * w_scale * 1.5
    bias = torch.randn(layer.out_channels, generator=generator) * deviation / 4
    activation = torch._make_per_tensor_quantized_tensor(values, x_scale, input_zero_point)
    if dims == 2:
        activation = activation.contiguous(memory_format=torch.channels_last)
    return Problem(layer, activation, qweight, bias, 3 * deviation / 245, OUTPUT_ZERO_POINT)


class Reference:
    """The float64 result of the first and the last image, which every output is held to."""

    def __init__(self, problem: Problem) -> None:
        layer = problem.layer
        self._images = sorted({0, problem.activation.size(0) - 1})
        geometry = ConvGeometry(
            layer.stride,
            layer.padding,
            layer.dilation,
            layer.groups,
            layer.transposed,
            (0,) * len(layer.kernel),
        )
        self._expected = quantized_conv(
            problem.activation[self._images],
            problem.weight,
            problem.bias,
            geometry,
            problem.output_scale,
            problem.output_zero_point,
            problem.relu,
        ).quantized

    def error(self, output: Tensor) -> Error:
        """output: uint8 [batch, out_channels, *output_size]."""
        differences = (output[self._images].long() - self._expected).abs()
        return Error(int(differences.max()), float((differences > 0).double().mean()))
