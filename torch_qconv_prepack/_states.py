"""Packed params from and to saved states, and from PyTorch's own objects."""

from __future__ import annotations

from typing import Any, Literal

import torch

from torch_qconv_prepack._params import PackedParams, check_engine, class_name, own_params

_ops = torch.ops.torch_qconv_prepack


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
    params, dims = own_params("get_state", params)
    if dims == 2:
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
    check_engine("from_state", engine)
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
    check_engine("from_quantized", engine)
    name = class_name(params)
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
