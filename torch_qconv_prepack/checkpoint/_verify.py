"""Whether a convolution that was written and read again is the one that was read first.

Every number is compared, and both are run on the same input: the old one packed from what the old
file holds, the new one from what the new file holds, by the plain-tensor ops where those run it.
The result is also compared with float64.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from torch_qconv_prepack._deprecations import without_quantized_tensor_warnings
from torch_qconv_prepack._params import PackedParams

from ._nodes import show
from ._record import GEOMETRY, ConvRecord

# Engines scale in float32 and QNNPACK rounds its bias: near a tie they may be one off.
_MAX_QUANTA = 1
_MAX_ELEMENTS = 1 << 24  # 128 MiB of float64
_X_SCALE, _X_ZERO_POINT = 0.05, 113
_OPS = torch.ops.torch_qconv_prepack


class DifferentError(ValueError):
    """The new convolution is not the old one."""


def verify(old: ConvRecord, new: ConvRecord) -> None:
    """Compare two records and what they compute.

    Raises:
        DifferentError: they differ.
        ValueError, NotImplementedError: the convolution can't be run.
    """
    for field in ("weight", "scales", "zero_points", "bias"):
        a, b = getattr(old, field), getattr(new, field)
        if (a is None) != (b is None) or (a is not None and not torch.equal(a, b)):
            raise DifferentError(f"{field} must be what the old file holds, got another")
    for field in (*GEOMETRY, "per_channel", "padding_mode", "output_scale", "output_zero_point"):
        if getattr(old, field) != getattr(new, field):
            raise DifferentError(
                f"{field} must be {show(getattr(old, field))} as in the old file, "
                f"got {show(getattr(new, field))}"
            )
    # How the input is padded is for the model; the convolution itself is that of the padded input.
    old, new = (replace(record, padding_mode="zeros") for record in (old, new))
    packed = old.pack()  # says what is wrong with numbers that make no convolution
    x = _input(old)
    real = _real_conv(old, x)
    low, high = min(real.min().item(), 0.0), max(real.max().item(), 0.0)
    y_scale = (high - low) / 255 or 1.0
    y_zero_point = round(-low / y_scale)
    expected = ((real / y_scale).round() + y_zero_point).clamp(0, 255)
    first = _run_packed(old, packed, x, y_scale, y_zero_point)
    second = _run_plain(new, x, y_scale, y_zero_point)
    if not torch.equal(first, second):
        raise DifferentError("the new convolution must compute what the old one does")
    worst = (first.double() - expected).abs().max().item()
    if worst > _MAX_QUANTA:
        raise DifferentError(
            f"the result must be within {_MAX_QUANTA} quantum of float64, got {worst:.0f}"
        )


def _input(record: ConvRecord) -> Tensor:
    """A random uint8 input, a few pixels larger than the kernel's reach, of all values."""
    assert record.in_channels
    assert record.out_channels
    inputs, outputs = [], []
    lists = [getattr(record, field) for field in GEOMETRY[:4]]
    for kernel, stride, padding, dilation, extra in zip(record.kernel_size, *lists, strict=True):
        reach = dilation * (kernel - 1) + 1
        # A transposed convolution's padding takes away from the output.
        least = math.ceil((2 * padding + 2) / stride) if record.transposed else reach - 2 * padding
        n = max(least, 1) + min(stride, 2)
        inputs.append(n)
        if record.transposed:
            outputs.append(max((n - 1) * stride - 2 * padding + reach + extra, 1))
        else:
            outputs.append(max((n + 2 * padding - reach) // stride + 1, 1))
    # A dilation or padding of millions would take more memory than anyone has. In float64, torch
    # copies the window of each output, or, transposed, makes that of each input.
    windows = record.weight[0, 0].numel() * (
        record.out_channels * math.prod(inputs)
        if record.transposed
        else record.in_channels * math.prod(outputs)
    )
    elements = max(
        record.in_channels * math.prod(inputs), record.out_channels * math.prod(outputs), windows
    )
    if elements > _MAX_ELEMENTS:
        raise ValueError(
            f"running the convolution must take at most {_MAX_ELEMENTS} "
            f"elements, got an input of size {tuple(inputs)}; its numbers alone can't be verified"
        )
    generator = torch.Generator().manual_seed(0)
    shape = (1, record.in_channels, *inputs)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


def _real_conv(record: ConvRecord, x: Tensor) -> Tensor:
    """The result in float64."""
    shape = [1] * record.weight.dim()
    shape[int(bool(record.transposed))] = -1
    zero_points, scales = record.zero_points.double(), record.scales.view(shape)
    weight = (record.weight.double() - zero_points.view(shape)) * scales
    arguments: dict[str, Any] = {
        name: getattr(record, name) for name in ("stride", "padding", "dilation", "groups")
    }
    if record.transposed:
        arguments["output_padding"] = record.output_padding
    function = getattr(functional, record.kind)
    values = (x.double() - _X_ZERO_POINT) * _X_SCALE
    bias = None if record.bias is None else record.bias.double()
    result: Tensor = function(values, weight, bias, **arguments)
    return result


def _run_packed(
    record: ConvRecord, packed: PackedParams, x: Tensor, y_scale: float, y_zero_point: int
) -> Tensor:
    op = getattr(_OPS, record.kind)
    with without_quantized_tensor_warnings():
        quantized = torch._make_per_tensor_quantized_tensor(x, _X_SCALE, _X_ZERO_POINT)
        result: Tensor = op(quantized, packed, y_scale, y_zero_point)
    return result.int_repr()


def _run_plain(record: ConvRecord, x: Tensor, y_scale: float, y_zero_point: int) -> Tensor:
    if record.transposed:  # which the plain-tensor ops don't run
        return _run_packed(record, record.pack(), x, y_scale, y_zero_point)
    convolution = (record.weight, record.scales, record.zero_points, record.bias)
    geometry = (record.stride, record.padding, record.dilation, record.groups)
    result: Tensor = _OPS.qconv_pointwise(
        *(x, _X_SCALE, _X_ZERO_POINT, *convolution, *geometry),
        *(y_scale, y_zero_point, torch.uint8, "none", [], None),
    )
    return result
