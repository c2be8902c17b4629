"""Packed params as Python sees them: their state, their origin, a readable summary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch

PackedParams: TypeAlias = Any
"""``torch.classes.torch_qconv_prepack.Conv2dPackedParams`` or ``Conv3dPackedParams``.

torch gives all such objects one Python type, ``torch.ScriptObject``, which knows none of their
methods.
"""

_ops = torch.ops.torch_qconv_prepack


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
        params: from a prepack op of this package, or loaded from a file.

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
          packed: fbgemm (im2col), 24,628 bytes
    """
    _check_params("describe", params)
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


def get_state(params: PackedParams, version: int | None = None) -> tuple[Any, ...]:
    """The saved state of a packed convolution in a format that PyTorch reads.

    Args:
        params: a packed convolution of this package.
        version: 2 or 3; by default 2, which every release since 1.7 reads, or 3 where a value
            doesn't fit its int16. docs/saved_formats.md describes both.

    Returns:
        ``("2", [int16 config, weight], [bias or None])`` or
        ``(3, [config integers], [None, weight, bias or None])``.

    Raises:
        ValueError: another version, or 2 where a value doesn't fit int16.
        TypeError: ``params`` is something else, or ``version`` no integer.
    """
    if version is not None and not isinstance(version, int):
        raise TypeError(f"get_state: version must be an integer, got {version!r}")
    if _check_params("get_state", params) == 2:
        return tuple(_ops._get_state2d(params, version))
    return tuple(_ops._get_state3d(params, version))


def from_state(
    state: tuple[Any, ...], dims: Literal[2, 3] = 2, engine: str | None = None
) -> PackedParams:
    """Pack a convolution from a saved state of any format.

    Args:
        state: of version 1 (PyTorch 1.6), 2 (1.7 and later) or 3, or this package's own.
        dims: 2 for a state of a 1-D or 2-D convolution, 3 for a 3-D one.
        engine: name of the engine that packs; by default the one that the state names, else the
            default one.

    Returns:
        Packed params. PyTorch's formats don't tell 1-D from 2-D: where the height does nothing,
        the result runs as both.

    Raises:
        ValueError: a value, length or count is wrong.
        TypeError: an element has the wrong type.
        NotImplementedError: no engine, or not the one asked for, can run it.
    """
    if dims not in (2, 3):
        raise ValueError(f"from_state: dims must be 2 (also for 1-D) or 3, got {dims!r}")
    _check_engine("from_state", engine)
    if not isinstance(state, tuple):
        raise TypeError(f"from_state: state must be a tuple, got {type(state).__name__}")
    if len(state) == 3 and state[0] == "2" and state[2] == []:
        # An empty list has no type in TorchScript; it stands for no bias.
        state = (*state[:2], [None])
    function = _ops._from_state2d if dims == 2 else _ops._from_state3d
    try:
        return function(state, engine=engine)
    except NotImplementedError:
        raise
    except RuntimeError as error:
        # torch couldn't make a TorchScript value of the tuple.
        if not any(text in str(error) for text in ("Any state", "Tracer cannot infer type")):
            raise
        raise TypeError(
            "from_state: state must be a tuple of strings, integers, tensors and lists of one of "
            f"these, got {_type_names(state)}"
        ) from error


def from_quantized(params: torch.ScriptObject, engine: str | None = None) -> PackedParams:
    """Pack a convolution anew that PyTorch's own prepack ops packed.

    Args:
        params: a ``torch.classes.quantized.Conv2dPackedParamsBase`` or ``Conv3dPackedParamsBase``.
        engine: name of the engine that packs; by default the default one.

    Returns:
        Packed params of this package. An object of this package that wears PyTorch's type (see
        its method ``as_quantized``) comes back as itself, unless another engine is asked for.

    Raises:
        TypeError: ``params`` is something else.
        NotImplementedError: no engine, or not the one asked for, can run it.
    """
    _check_engine("from_quantized", engine)
    name = _class_name(params)
    if name == "quantized.Conv2dPackedParamsBase":
        return _ops._from_quantized2d(params, engine=engine)
    if name == "quantized.Conv3dPackedParamsBase":
        return _ops._from_quantized3d(params, engine=engine)
    raise TypeError(
        "from_quantized: params must be a quantized.Conv2dPackedParamsBase or "
        f"quantized.Conv3dPackedParamsBase, got {name}"
    )


def _type_names(value: object) -> str:
    """The types in a state, as ``(str, [Tensor, int], set)``."""
    if isinstance(value, (tuple, list)):
        inner = ", ".join(_type_names(element) for element in value)
        return f"({inner})" if isinstance(value, tuple) else f"[{inner}]"
    return type(value).__name__


def _check_engine(function: str, engine: object) -> None:
    if engine is not None and not isinstance(engine, str):
        raise TypeError(f"{function}: engine must be a string or None, got {engine!r}")


def _class_name(params: object) -> str:
    if isinstance(params, torch.ScriptObject):
        return str(params._type().qualified_name()).removeprefix("__torch__.torch.classes.")
    return type(params).__name__


def _check_params(function: str, params: object) -> int:
    """Spatial dimensions as stored (2 or 3) of packed params of this package; else TypeError."""
    name = _class_name(params)
    if name == "torch_qconv_prepack.Conv2dPackedParams":
        return 2
    if name == "torch_qconv_prepack.Conv3dPackedParams":
        return 3
    raise TypeError(
        f"{function}: params must be packed by this package, got {name}; "
        "from_quantized() packs PyTorch's own objects anew"
    )
