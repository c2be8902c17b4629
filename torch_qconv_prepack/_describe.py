"""A readable summary of packed params."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch_qconv_prepack._params import PackedParams, own_params


@dataclass(frozen=True)
class ConvSummary:
    """What a packed convolution is; ``print`` it for one readable line each.

    Attributes:
        kind: ``"conv1d"`` to ``"conv_transpose3d"``.
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: one entry per spatial dimension, as all tuples here.
        stride: of the convolution.
        padding: zeros (that is, the input's zero point) on both sides.
        output_padding: extra size of a transposed convolution's output.
        dilation: distance of the kernel's taps.
        groups: groups of channels that see only each other.
        weight_scheme: ``"per_channel"`` or ``"per_tensor"``.
        symmetric: whether every zero point of the weight is 0.
        bias: whether there is one.
        engine: the engine that packed it.
        kernel: which of the engine's kernels runs it.
        nbytes: bytes held for weight, scales, zero points and bias.
    """

    kind: str
    in_channels: int
    out_channels: int
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    output_padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    weight_scheme: Literal["per_channel", "per_tensor"]
    symmetric: bool
    bias: bool
    engine: str
    kernel: str
    nbytes: int

    def __str__(self) -> str:
        shape = f"{self.in_channels} -> {self.out_channels}, kernel {_by(self.kernel_size)}"
        defaults = {"stride": 1, "padding": 0, "output_padding": 0, "dilation": 1}
        for name, default in defaults.items():
            values = getattr(self, name)
            if any(value != default for value in values):
                shape += f", {name} {_by(values)}"
        if self.groups != 1:
            shape += f", groups {self.groups}"
        zero_points = "symmetric" if self.symmetric else "with zero points"
        bias = "bias" if self.bias else "no bias"
        return (
            f"{self.kind}({shape})\n"
            f"  weight: int8, {self.weight_scheme}, {zero_points}; {bias}\n"
            f"  packed: {self.engine} ({self.kernel}), {self.nbytes:,} bytes"
        )


def _by(values: tuple[int, ...]) -> str:
    return "x".join(map(str, values))


def describe(params: PackedParams) -> ConvSummary:
    """Summarize a packed convolution.

    Args:
        params: from a prepack op of this package, or loaded from a file; also one that wears
            PyTorch's type, as drop-in mode (:func:`torch_qconv_prepack.enable`) makes them.

    Returns:
        A dataclass whose ``str()`` reads well.

    Raises:
        TypeError: ``params`` is something else.

    Example (the bytes depend on the CPU):
        >>> import torch, torch_qconv_prepack as qconv
        >>> weight = torch.quantize_per_tensor(torch.ones(8, 3, 3, 3), 0.1, 0, torch.qint8)
        >>> pack = torch.ops.torch_qconv_prepack.conv2d_prepack
        >>> print(qconv.describe(pack(weight, None, [2, 2], [1, 1], [1, 1], 1)))
        conv2d(3 -> 8, kernel 3x3, stride 2x2, padding 1x1)
          weight: int8, per_tensor, symmetric; no bias
          packed: native (dense_...), 908 bytes
    """
    params, _ = own_params("describe", params)
    dims = params.conv_dims()
    zero_points = params.weight_zero_points()
    return ConvSummary(
        kind=f"{'conv_transpose' if params.transpose() else 'conv'}{dims}d",
        in_channels=params.in_channels(),
        out_channels=params.out_channels(),
        # 1-D is stored as 2-D with a height of 1 in front.
        kernel_size=tuple(params.kernel_size()[-dims:]),
        stride=tuple(params.stride()[-dims:]),
        padding=tuple(params.padding()[-dims:]),
        output_padding=tuple(params.output_padding()[-dims:]),
        dilation=tuple(params.dilation()[-dims:]),
        groups=params.groups(),
        weight_scheme="per_channel" if params.per_channel() else "per_tensor",
        symmetric=not bool(zero_points.any()),
        bias=params.bias() is not None,
        engine=params.engine(),
        kernel=params.kernel_name(),
        nbytes=params.nbytes(),
    )
