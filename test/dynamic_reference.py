"""The reference of a dynamic op: a float input is quantized on entry, the output stays float."""

import numpy as np
import torch
from reference import (
    FLOAT32_ROUNDING,
    FLOAT64_ROUNDING,
    ROUND_REAL_NUMBERS_ONCE,
    ConvGeometry,
    real_conv,
)
from torch import Tensor


def choose_quantization_params(
    low: float, high: float, reduce_range: bool = False
) -> tuple[float, int]:
    """Scale and zero point that torch's dynamic ops give a float input in [low, high].

    Follows ChooseQuantizationParams in ATen/native/quantized/cpu/QuantUtils.h for quint8, with
    each value in the precision (float32 or float64) that it has there: the choice is compared
    exactly.
    """
    qmax = 127 if reduce_range else 255
    smallest_scale = np.float32(6.1e-5)
    minimum = min(np.float32(low), np.float32(0))
    maximum = max(np.float32(high), np.float32(0))
    scale = (float(maximum) - float(minimum)) / qmax
    with np.errstate(divide="ignore", over="ignore"):
        if np.float32(scale) == 0 or np.isinf(np.float32(1) / np.float32(scale)):
            scale = 0.1
    if scale < float(smallest_scale):
        if minimum == 0:
            maximum = smallest_scale * np.float32(qmax)
        elif maximum == 0:
            minimum = -smallest_scale * np.float32(qmax)
        else:
            amplifier = smallest_scale / np.float32(scale)
            minimum, maximum = minimum * amplifier, maximum * amplifier
        scale = float(smallest_scale)
    # The zero point follows from either end of the range; the smaller terms round less.
    from_minimum = -float(minimum) / scale
    from_maximum = qmax - float(maximum) / scale
    minimum_error = -abs(float(minimum) / scale)
    maximum_error = qmax - abs(float(maximum) / scale)
    chosen = from_minimum if minimum_error < maximum_error else from_maximum
    return scale, round(min(max(chosen, 0.0), float(qmax)))


def quantize_dynamic_input(x: Tensor, reduce_range: bool = False) -> Tensor:
    """The quint8 tensor that a dynamic op makes of a float32 input."""
    low, high = x.aminmax() if x.numel() else (torch.tensor(0.0), torch.tensor(0.0))
    scale, zero_point = choose_quantization_params(float(low), float(high), reduce_range)
    return torch.quantize_per_tensor(x, scale, zero_point, torch.quint8)


def dynamic_tolerance(expected: Tensor, bias: Tensor | None, engine: str) -> Tensor:
    """How far an engine's float output may be from `expected`, for each element."""
    # Bounds on the largest values, since sum and bias may cancel.
    largest = float(expected.abs().max()) if expected.numel() else 0.0
    largest += 2 * float(bias.abs().max()) if bias is not None else 0.0
    if engine in ROUND_REAL_NUMBERS_ONCE:
        return FLOAT32_ROUNDING * expected.abs() + FLOAT64_ROUNDING * largest
    # float32 arithmetic on the int32 sum: its conversion, two scales, two products, the bias.
    return torch.full_like(expected, 8 * FLOAT32_ROUNDING * largest)


def dynamic_conv(
    x: Tensor,
    qweight: Tensor,
    bias: Tensor | None,
    geometry: ConvGeometry,
    reduce_range: bool = False,
    relu: bool = False,
) -> Tensor:
    """The float64 output of a dynamic op on a float32 input: quantized on entry only."""
    return real_conv(quantize_dynamic_input(x, reduce_range), qweight, bias, geometry, relu)
