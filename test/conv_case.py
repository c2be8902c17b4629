"""One quantized convolution to test: its shape, its tensors and its expected output."""

import math
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from reference import ConvGeometry, Expected, Ints, quantized_conv, real_conv
from torch import Tensor

_SPATIAL = ("input_size", "kernel", "stride", "padding", "output_padding", "dilation")


@dataclass(frozen=True)
class ConvData:
    """The tensors of one case, and output parameters under which outputs fill 0..255.

    activation: quint8 (batch, in_channels, *input_size), per tensor.
    weight: qint8, per tensor or along the axis of the output channels.
    bias: float32 (out_channels,) or None.
    """

    activation: Tensor
    weight: Tensor
    bias: Tensor | None
    geometry: ConvGeometry
    output_scale: float
    output_zero_point: int

    def expected(self, relu: bool = False, engine: str | None = None) -> Expected:
        return quantized_conv(
            self.activation,
            self.weight,
            self.bias,
            self.geometry,
            self.output_scale,
            self.output_zero_point,
            relu,
            engine,
        )


@dataclass(frozen=True)
class ConvCase:
    """One convolution. Sizes have a number per spatial dimension; a single one is repeated.

    full_range: activations take all of 0..255 and weights all of -128..127, so that kernels
    with 16-bit intermediate sums saturate. Otherwise 0..127 and -32..31.
    """

    name: str
    dims: int = 2
    transposed: bool = False
    batch: int = 1
    in_channels: int = 8
    out_channels: int = 8
    input_size: Ints = (6,)
    kernel: Ints = (3,)
    stride: Ints = (1,)
    padding: Ints = (0,)
    output_padding: Ints = (0,)
    dilation: Ints = (1,)
    groups: int = 1
    per_channel: bool = False
    weight_zero_points: bool = False
    bias: bool = True
    full_range: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name in _SPATIAL:
            value = tuple(getattr(self, name))
            value = value * self.dims if len(value) == 1 else value
            if len(value) != self.dims:
                raise ValueError(f"{self.name}: {name} must have {self.dims} elements, got {value}")
            object.__setattr__(self, name, value)
        if self.in_channels % self.groups or self.out_channels % self.groups:
            raise ValueError(f"{self.name}: groups must divide both channel counts")
        if min(self.output_size) < 1:
            raise ValueError(f"{self.name}: output size {self.output_size} is empty")

    def __str__(self) -> str:
        return self.name

    def but(self, **changes: Any) -> "ConvCase":
        """This case with some fields changed."""
        return replace(self, **changes)

    def settings(self) -> str:
        """The fields that differ from a plain convolution's, for messages."""
        plain = ConvCase("plain", dims=self.dims)
        names = [f.name for f in fields(self) if f.name != "name"]
        return " ".join(
            f"{n}={getattr(self, n)}" for n in names if getattr(self, n) != getattr(plain, n)
        )

    @property
    def geometry(self) -> ConvGeometry:
        return ConvGeometry(
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
            transposed=self.transposed,
            output_padding=self.output_padding if self.transposed else (),
        )

    @property
    def weight_shape(self) -> Ints:
        if self.transposed:
            return (self.in_channels, self.out_channels // self.groups, *self.kernel)
        return (self.out_channels, self.in_channels // self.groups, *self.kernel)

    @property
    def output_size(self) -> Ints:
        reach = tuple(d * (k - 1) + 1 for d, k in zip(self.dilation, self.kernel, strict=True))
        sizes = zip(self.input_size, self.stride, self.padding, reach, strict=True)
        if self.transposed:
            paddings = self.output_padding
            return tuple(
                (i - 1) * s - 2 * p + r + extra
                for (i, s, p, r), extra in zip(sizes, paddings, strict=True)
            )
        return tuple((i + 2 * p - r) // s + 1 for i, s, p, r in sizes)

    @property
    def multiplications(self) -> int:
        """Multiplications of the whole case, padding included."""
        size = self.input_size if self.transposed else self.output_size
        channels = self.in_channels if self.transposed else self.out_channels
        per_position = math.prod(self.weight_shape[1:])
        return self.batch * channels * math.prod(size) * per_position

    def data(self) -> ConvData:
        """The case's tensors; the same seed gives the same tensors."""
        generator = torch.Generator().manual_seed(self.seed)
        activation = self._activation(generator)
        weight = self._weight(generator)
        real = real_conv(activation, weight, None, self.geometry)
        bias = None
        if self.bias:
            # As large as the sums, so that a bias lost or misplaced shows.
            spread = float(real.std()) if real.numel() > 1 else 1.0
            bias = torch.randn(self.out_channels, generator=generator) * spread
            real = real + bias.double().reshape(1, -1, *[1] * self.dims)
        scale, zero_point = output_params(real)
        return ConvData(activation, weight, bias, self.geometry, scale, zero_point)

    def _activation(self, generator: torch.Generator) -> Tensor:
        high = 256 if self.full_range else 128
        shape = (self.batch, self.in_channels, *self.input_size)
        values = torch.randint(0, high, shape, generator=generator, dtype=torch.uint8)
        zero_point = int(torch.randint(0, high, (), generator=generator))
        return torch._make_per_tensor_quantized_tensor(values, 0.03, zero_point)

    def _weight(self, generator: torch.Generator) -> Tensor:
        low, high = (-128, 128) if self.full_range else (-32, 32)
        values = torch.randint(low, high, self.weight_shape, generator=generator, dtype=torch.int8)
        axis = 1 if self.transposed else 0
        channels = self.weight_shape[axis] if self.per_channel else 1
        scales = 0.01 * (0.5 + torch.rand(channels, generator=generator, dtype=torch.float64))
        zero_points = torch.randint(low, high, (channels,), generator=generator)
        if not self.weight_zero_points:
            zero_points = torch.zeros_like(zero_points)
        if self.per_channel:
            return torch._make_per_channel_quantized_tensor(values, scales, zero_points, axis)
        return torch._make_per_tensor_quantized_tensor(values, float(scales), int(zero_points))


def output_params(real: Tensor) -> tuple[float, int]:
    """Scale and zero point that spread `real` over 0..255, the outermost values clamped."""
    if real.numel() == 0:
        return 1.0, 0
    low, high = min(float(real.min()), 0.0), max(float(real.max()), 0.0)
    scale = max(0.98 * (high - low) / 255, 1e-6)
    return scale, min(max(round(-low / scale), 0), 255)
