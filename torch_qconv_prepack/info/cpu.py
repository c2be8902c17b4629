"""What the CPU is and which of the instructions that int8 convolutions use it has."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import torch

# From Linux's names (dotprod is asimddp there) to torch's.
_X86 = {
    "avx2": "avx2",
    "avx_vnni": "avx_vnni",
    "avx512f": "avx512_f",
    "avx512bw": "avx512_bw",
    "avx512vl": "avx512_vl",
    "avx512_vnni": "avx512_vnni",
    "amx_tile": "amx_tile",
    "amx_int8": "amx_int8",
}
_ARM = {"dotprod": "dot", "i8mm": "i8mm"}
_FEATURES = {"x86_64": _X86, "amd64": _X86, "aarch64": _ARM, "arm64": _ARM}


def cpu_features() -> dict[str, bool]:
    """Whether the CPU has each feature that matters here, by name.

    Those of its own architecture; none where the architecture is neither x86-64 nor arm64. What the
    operating system or the environment keeps from being used may still be listed.
    """
    found = _capabilities()
    names = _FEATURES.get(platform.machine().lower(), {})
    return {ours: bool(found.get(theirs, False)) for ours, theirs in names.items()}


def cpu_model() -> str | None:
    """Return the name that the CPU gives itself, or None where nobody tells."""
    name = _capabilities().get("cpu_name") or _model_name(Path("/proc/cpuinfo"))
    return str(name) if name else platform.processor() or None


def _capabilities() -> dict[str, Any]:
    # What torch's own kernels are chosen by, from the library cpuinfo inside torch.
    return dict(torch.cpu.get_capabilities())


def _model_name(cpuinfo: Path) -> str | None:
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:  # no Linux
        return None
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, None)
