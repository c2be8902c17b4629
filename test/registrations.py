"""What torch has registered, as it prints it itself: for comparing before and after."""

from __future__ import annotations

import re

import torch

OWN = "torch_qconv_prepack"


def registrations() -> dict[str, object]:
    """By op: its kernels, where each was registered, and what each dispatch key calls.

    Besides all schemas, and the attributes of the Python type of all C++ objects. This package's
    own ops are left out.
    """
    names = [name for name in torch._C._dispatch_get_all_op_names() if not name.startswith(OWN)]
    schemas = [str(schema) for schema in torch._C._jit_get_all_schemas()]
    return {
        **{n: torch._C._dispatch_dump(n) + torch._C._dispatch_dump_table(n) for n in names},
        "schemas": sorted(schema for schema in schemas if OWN not in schema),
        "ScriptObject": sorted(vars(torch.ScriptObject)),
    }


def differences(before: dict[str, object], after: dict[str, object]) -> list[str]:
    """Names of what changed, came or went."""
    return sorted(k for k in before.keys() | after.keys() if before.get(k) != after.get(k))


def conv_ops() -> set[str]:
    """PyTorch's ops that take or make packed params of convolutions, with their overloads."""
    found = {"quantized::conv2d_unpack_sizes"}  # takes anything
    for schema in torch._C._jit_get_all_schemas():
        if schema.name.startswith(("quantized::", "_quantized::")) and re.search(
            r"classes\.quantized\.Conv\dd", str(schema)
        ):
            overload = f".{schema.overload_name}" if schema.overload_name else ""
            found.add(schema.name + overload)
    return found
