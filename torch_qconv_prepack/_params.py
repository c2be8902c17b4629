"""The type of packed params, and the checks of arguments that Python makes."""

from __future__ import annotations

from typing import Any, TypeAlias

import torch

PackedParams: TypeAlias = Any
"""``torch.classes.torch_qconv_prepack.Conv2dPackedParams`` or ``Conv3dPackedParams``.

torch gives all such objects one Python type, ``torch.ScriptObject``, which knows none of their
methods.
"""


def check_engine(function: str, engine: object) -> None:
    if engine is not None and not isinstance(engine, str):
        raise TypeError(f"{function}: engine must be a string or None, got {engine!r}")


def class_name(params: object) -> str:
    if isinstance(params, torch.ScriptObject):
        return str(params._type().qualified_name()).removeprefix("__torch__.torch.classes.")
    return type(params).__name__


def check_params(function: str, params: object) -> int:
    """Spatial dimensions as stored (2 or 3) of packed params of this package; else TypeError."""
    name = class_name(params)
    if name == "torch_qconv_prepack.Conv2dPackedParams":
        return 2
    if name == "torch_qconv_prepack.Conv3dPackedParams":
        return 3
    raise TypeError(
        f"{function}: params must be packed by this package, got {name}; "
        "from_quantized() packs PyTorch's own objects anew"
    )
