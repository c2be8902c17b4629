"""The type of packed params, and the checks of arguments that Python makes."""

from __future__ import annotations

import contextlib
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


def own_params(function: str, params: object) -> tuple[PackedParams, int]:
    """Packed params of this package as its own class, and their spatial dimensions as stored.

    Those that wear PyTorch's type, as drop-in mode makes them, are handed over to their own. Others
    are a TypeError.
    """
    name = class_name(params)
    for dims in (2, 3):
        if name == f"torch_qconv_prepack.Conv{dims}dPackedParams":
            return params, dims
        if name == f"quantized.Conv{dims}dPackedParamsBase":
            with contextlib.suppress(TypeError):  # PyTorch's own
                return getattr(torch.ops.torch_qconv_prepack, f"_own{dims}d")(params), dims
    raise TypeError(
        f"{function}: params must be packed by this package, got {name}; "
        "from_quantized() packs PyTorch's own objects anew"
    )
