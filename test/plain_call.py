"""Calls of the plain-tensor ops, and what they must return."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from conv_case import ConvData
from op_calls import op
from reference import real_conv
from torch import Tensor
from torch.nn import functional

FUNCTIONS = {
    "none": lambda real: real,
    "relu": lambda real: real.clamp(min=0),
    "hardtanh": lambda real: real.clamp(-2.0, 5.0),
    "leaky_relu": lambda real: functional.leaky_relu(real, 0.1),
    "hardswish": functional.hardswish,
    "swish": functional.silu,
    "sigmoid": torch.sigmoid,
    "gelu-none": functional.gelu,
    "gelu-tanh": lambda real: functional.gelu(real, approximate="tanh"),
}
SCALARS: dict[str, list[float]] = {"hardtanh": [-2.0, 5.0], "leaky_relu": [0.1]}
# Those that PyTorch's onednn::qconv_pointwise has.
PYTORCH_FUNCTIONS = ("none", "relu", "hardtanh", "hardswish", "swish")
FLOATS = (torch.float32, torch.bfloat16)
# Scale and zero point of a tensor to add.
ACCUMULATOR = (0.11, 30)


@dataclass(frozen=True)
class PlainCall:
    """One convolution on plain tensors; attr and output as PyTorch's onednn::qconv_pointwise.

    attr: a key of FUNCTIONS; that of a function with several forms ends in its algorithm.
    """

    data: ConvData
    attr: str = "none"
    output_dtype: torch.dtype | None = torch.uint8
    signed_input: bool = False

    def but(self, **changes: Any) -> PlainCall:
        return replace(self, **changes)

    @property
    def input(self) -> Tensor:
        x = self.data.activation.int_repr()
        return (x.int() - 128).to(torch.int8) if self.signed_input else x

    @property
    def input_quantization(self) -> tuple[float, int]:
        x = self.data.activation
        return x.q_scale(), x.q_zero_point() - (128 if self.signed_input else 0)

    @property
    def weight_quantization(self) -> tuple[Tensor, Tensor]:
        weight = self.data.weight
        if weight.qscheme() == torch.per_tensor_affine:
            return torch.tensor([weight.q_scale()]), torch.tensor([weight.q_zero_point()])
        return weight.q_per_channel_scales().float(), weight.q_per_channel_zero_points()

    @property
    def lists(self) -> list[Any]:
        geometry = self.data.geometry
        lists = (geometry.stride, geometry.padding, geometry.dilation)
        return [*map(list, lists), geometry.groups]

    @property
    def output_quantization(self) -> tuple[float, int]:
        if self.output_dtype in FLOATS:
            return 1.0, 0
        shift = 128 if self.output_dtype == torch.int8 else 0
        return self.data.output_scale, self.data.output_zero_point - shift

    def prepack(self, namespace: str = "torch_qconv_prepack") -> Tensor:
        return op("qconv_prepack", namespace)(
            self.data.weight.int_repr(), self.weight_quantization[0], *self.input_quantization,
            *self.lists, list(self.input.shape),
        )  # fmt: skip

    def arguments(self, weight: Tensor, *addend: Tensor) -> list[Any]:
        """What both run ops take up to output_dtype."""
        return [
            self.input, *self.input_quantization, weight, *self.weight_quantization, *addend,
            self.data.bias, *self.lists, *self.output_quantization, self.output_dtype,
        ]  # fmt: skip

    def unary_arguments(self, weight: Tensor) -> list[Any]:
        return [*self.arguments(weight), *self.function]

    @property
    def function(self) -> list[Any]:
        """Its attr, scalars and algorithm."""
        name, _, algorithm = self.attr.partition("-")
        return [name, SCALARS.get(self.attr, []), algorithm]

    def run(self, weight: Tensor, namespace: str = "torch_qconv_prepack") -> Tensor:
        return op("qconv_pointwise", namespace)(*self.unary_arguments(weight))

    def real(self, added: Tensor | None = None) -> Tensor:
        """The output's real numbers in float64. added: an addend's."""
        x, weight, bias = self.data.activation, self.data.weight, self.data.bias
        # The ops take the weight's scales as float32.
        scales, zero_points = self.weight_quantization
        if weight.qscheme() == torch.per_tensor_affine:
            weight = torch._make_per_tensor_quantized_tensor(
                weight.int_repr(), float(scales), int(zero_points)
            )
        else:
            weight = torch._make_per_channel_quantized_tensor(
                weight.int_repr(), scales.double(), zero_points, 0
            )
        real = real_conv(x, weight, bias, self.data.geometry)
        return FUNCTIONS[self.attr](real if added is None else real + added)

    def quantized(self, real: Tensor) -> Tensor:
        """The integers of an output of these real numbers, as int64."""
        scale, zero_point = self.output_quantization
        smallest = -128 if self.output_dtype == torch.int8 else 0
        quanta = (real / scale).round() + zero_point
        return quanta.clamp(smallest, smallest + 255).long()


def accumulator(call: PlainCall, dtype: torch.dtype, seed: int = 5) -> tuple[Tensor, Tensor]:
    """A tensor to add, and its real numbers."""
    generator = torch.Generator().manual_seed(seed)
    shape = call.real().shape
    if dtype in FLOATS:
        tensor = (torch.randn(shape, generator=generator) * 3).to(dtype)
        return tensor, tensor.double()
    low = -128 if dtype == torch.int8 else 0
    tensor = torch.randint(low, low + 256, shape, generator=generator).to(dtype)
    return tensor, (tensor.double() - ACCUMULATOR[1]) * ACCUMULATOR[0]


def binary_arguments(
    call: PlainCall, weight: Tensor, addend: Tensor, attribute: str, unary: str | None
) -> list[Any]:
    quantization = (1.0, 0) if addend.dtype in FLOATS else ACCUMULATOR
    function = [None, [], ""] if unary is None else call.but(attr=unary).function
    return [*call.arguments(weight, addend), *quantization, attribute, 1, *function]
