"""Holds the libraries in this process to an instruction set, through their environment variables.

They are read when a library starts, so this comes before the first import of torch; the module
itself imports nothing.
"""

from __future__ import annotations

import os

# By the names of TORCH_QCONV_ISA: oneDNN's ONEDNN_MAX_CPU_ISA (OpenVINO's copy of oneDNN reads it
# too) and FBGEMM's FBGEMM_ENABLE_INSTRUCTIONS. FBGEMM has nothing beyond AVX512-VNNI, which it
# chooses by itself, and nothing below AVX2. None: all that the CPU has.
CAPS: dict[str, tuple[str | None, str | None]] = {
    "scalar": ("SSE41", "AVX2"),
    "avx2": ("AVX2", "AVX2"),
    "avx_vnni": ("AVX2_VNNI", "AVX2"),
    "avx512_vnni": ("AVX512_CORE_VNNI", None),
    "amx_int8": (None, None),
}

# Read no such variable: these run what the CPU has.
NOT_HELD = ("onnxruntime",)


def hold_to(name: str) -> None:
    """Set the variables for an instruction set; those that have no cap for it are unset."""
    onednn, fbgemm = CAPS[name]
    variables = {
        "TORCH_QCONV_ISA": name,
        "ONEDNN_MAX_CPU_ISA": onednn,
        "FBGEMM_ENABLE_INSTRUCTIONS": fbgemm,
    }
    for variable, value in variables.items():
        if value is None:
            os.environ.pop(variable, None)
        else:
            os.environ[variable] = value
