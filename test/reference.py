"""The float64 reference of a quantized convolution.

    real = (sum over k of (x_q - x_zp) * (w_q - w_zp[oc])) * x_scale * w_scale[oc] + bias[oc]
    q    = clamp(round_half_to_even(real / y_scale) + y_zp, 0, 255)

The sum runs over integers held in float64, so it is exact below 2**53, whatever its order. Only
the scaling rounds, with a relative error near 2**-52. Activations are laid out (N, C, *spatial),
weights (out_channels, in_channels / groups, *kernel), or for a transposed convolution
(in_channels, out_channels / groups, *kernel).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

Ints = tuple[int, ...]

# One rounding to float32 changes a number by at most half an ulp: this fraction of it.
FLOAT32_ROUNDING = 2.0**-24

# FBGEMM and QNNPACK requantize in float32. The sum and the bias each pass through at most ten
# roundings on their way to the output: three scales are cast, the multiplier takes two
# operations, the bias/scale division three, the int32 sum is converted, and the addition and the
# multiplication round once each. All ten at their worst and of one sign bound the error.
FLOAT32_REQUANTIZATION = 10 * FLOAT32_ROUNDING


# QNNPACK adds the bias to the int32 sums before it scales them, so it rounds the bias to whole
# units of the sums, x_scale * w_scale each: results move by up to half a unit, all of a channel
# alike. Our qnnpack engine does so too, except where a unit is more than a quantum of the output.
ROUND_THE_BIAS = ("qnnpack",)

# oneDNN adds the zero point before it rounds to an integer, in float32: results that are not
# clamped lie below 256 there, so that this sum rounds by at most half an ulp of that.
ADD_ZERO_POINT_IN_FLOAT32 = ("onednn",)

# The native engine's distance from float64 before rounding, in quanta, whatever the sizes of sum,
# bias and addend: it requantizes in float64 where float32 could be farther away (docs/native.md).
# Real numbers (dynamic ops) are the float64 value rounded once.
WITHIN_OF_A_TIE = {"native": 1e-3}
ROUND_REAL_NUMBERS_ONCE = ("native",)

# What few roundings of float64 may add to a value, sum and bias not cancelling.
FLOAT64_ROUNDING = 2.0**-50


@dataclass(frozen=True)
class ConvGeometry:
    """How the kernel moves: one number per spatial dimension in each tuple."""

    stride: Ints
    padding: Ints
    dilation: Ints
    groups: int = 1
    transposed: bool = False
    output_padding: Ints = ()

    @property
    def dims(self) -> int:
        return len(self.stride)


@dataclass(frozen=True)
class Expected:
    """What the reference says an output must be.

    scaled: real / y_scale, float64: the output in quanta before rounding.
    float32_error: bound on what float32 requantization may add to `scaled`, float64.
    zero_point: y_zp, added after rounding.
    """

    scaled: Tensor
    float32_error: Tensor
    zero_point: int

    @property
    def quantized(self) -> Tensor:
        """The output, int64 in 0..255."""
        return self.shifted(0)

    def shifted(self, shift: float | Tensor) -> Tensor:
        """The output if `scaled` were off by `shift` quanta."""
        # torch.round rounds halves to even. Clamped before the cast: int64 would overflow.
        return ((self.scaled + shift).round() + self.zero_point).clamp(0, 255).long()


def integers(quantized: Tensor) -> Tensor:
    """The values minus their zero points, exact integers in float64."""
    values = quantized.int_repr().double()
    if quantized.qscheme() == torch.per_tensor_affine:
        return values - quantized.q_zero_point()
    axis = quantized.q_per_channel_axis()
    shape = [-1 if dim == axis else 1 for dim in range(values.dim())]
    return values - quantized.q_per_channel_zero_points().double().reshape(shape)


def weight_scales(qweight: Tensor, geometry: ConvGeometry) -> Tensor:
    """One float64 scale for each output channel; groups of a transposed weight share theirs."""
    if geometry.transposed:
        out_channels, repeats = qweight.size(1) * geometry.groups, geometry.groups
    else:
        out_channels, repeats = qweight.size(0), 1
    if qweight.qscheme() == torch.per_tensor_affine:
        return torch.full((out_channels,), qweight.q_scale(), dtype=torch.float64)
    expected_axis = 1 if geometry.transposed else 0
    if qweight.q_per_channel_axis() != expected_axis:
        raise ValueError(
            f"weight must be quantized along axis {expected_axis}, "
            f"got axis {qweight.q_per_channel_axis()}"
        )
    return qweight.q_per_channel_scales().double().repeat(repeats)


def float_conv(x: Tensor, weight: Tensor, geometry: ConvGeometry) -> Tensor:
    """Convolution of float tensors without bias; in float64 exact on integers."""
    if geometry.transposed:
        transposed: tuple[Callable[..., Tensor], ...] = (
            functional.conv_transpose1d,
            functional.conv_transpose2d,
            functional.conv_transpose3d,
        )
        return transposed[geometry.dims - 1](
            x,
            weight,
            stride=geometry.stride,
            padding=geometry.padding,
            output_padding=geometry.output_padding or (0,) * geometry.dims,
            groups=geometry.groups,
            dilation=geometry.dilation,
        )
    forward: tuple[Callable[..., Tensor], ...] = (
        functional.conv1d,
        functional.conv2d,
        functional.conv3d,
    )
    return forward[geometry.dims - 1](
        x,
        weight,
        stride=geometry.stride,
        padding=geometry.padding,
        dilation=geometry.dilation,
        groups=geometry.groups,
    )


def _per_channel(values: Tensor, dims: int) -> Tensor:
    return values.double().reshape(1, -1, *[1] * dims)


def _scaled_sum(qx: Tensor, qweight: Tensor, geometry: ConvGeometry) -> Tensor:
    sums = float_conv(integers(qx), integers(qweight), geometry)
    scales = qx.q_scale() * weight_scales(qweight, geometry)
    return sums * _per_channel(scales, geometry.dims)


def real_conv(
    qx: Tensor, qweight: Tensor, bias: Tensor | None, geometry: ConvGeometry, relu: bool = False
) -> Tensor:
    """The real-valued output, float64 (N, out_channels, *output_size)."""
    real = _scaled_sum(qx, qweight, geometry)
    if bias is not None:
        real = real + _per_channel(bias, geometry.dims)
    return real.clamp(min=0) if relu else real


def round_bias(bias: Tensor, units: Tensor) -> tuple[Tensor, Tensor]:
    """The bias rounded to whole units, and by how much float32 arithmetic may round otherwise."""
    exact = bias.double() / units
    rounded = exact.round()
    # At a tie three roundings decide: of the unit, its inverse, and the product with the bias.
    reach = exact.abs() * 3 * FLOAT32_ROUNDING
    at_tie = ((exact + reach).round() != rounded) | ((exact - reach).round() != rounded)
    return rounded * units, at_tie * units


def quantized_conv(
    qx: Tensor,
    qweight: Tensor,
    bias: Tensor | None,
    geometry: ConvGeometry,
    output_scale: float,
    output_zero_point: int,
    relu: bool = False,
    engine: str | None = None,
) -> Expected:
    """The output quantized to 0..255. ReLU is a clamp at the zero point.

    engine: whose rounding is allowed for, see ROUND_THE_BIAS, ADD_ZERO_POINT_IN_FLOAT32 and
    WITHIN_OF_A_TIE.
    """
    scaled = _scaled_sum(qx, qweight, geometry) / output_scale
    error = scaled.abs() * FLOAT32_REQUANTIZATION
    if engine in ADD_ZERO_POINT_IN_FLOAT32:
        error = error + 256 * FLOAT32_ROUNDING
    if bias is not None:
        units = qx.q_scale() * weight_scales(qweight, geometry)
        at_ties = torch.zeros_like(units)
        if engine in ROUND_THE_BIAS and bool((units <= output_scale).all()):
            bias, at_ties = round_bias(bias, units)
        scaled_bias = _per_channel(bias, geometry.dims) / output_scale
        scaled = scaled + scaled_bias
        error = error + scaled_bias.abs() * FLOAT32_REQUANTIZATION
        error = error + _per_channel(at_ties, geometry.dims) / output_scale
    if engine in WITHIN_OF_A_TIE:
        error = torch.full_like(error, WITHIN_OF_A_TIE[engine])
    if relu:
        scaled = scaled.clamp(min=0)
    return Expected(scaled, error, output_zero_point)
