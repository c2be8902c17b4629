"""The most int8 operations a second that one core does with an instruction set: peaks.cpp, built
with the compiler at hand and run."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

# Best first, with the CPU feature that each one needs, as cpu_features of `info` names it.
_NEEDS = {
    "amx_int8": "amx_int8",
    "avx512_vnni": "avx512_vnni",
    "avx_vnni": "avx_vnni",
    "avx2": "avx2",
}


def best_instruction_set(features: dict[str, bool]) -> str | None:
    return next((name for name, feature in _NEEDS.items() if features.get(feature)), None)


def peak_gops(instruction_set: str | None, features: dict[str, bool]) -> float | None:
    """10^9 operations a second, two to a multiply-add; None where it can't be measured."""
    if instruction_set not in _NEEDS or not features.get(_NEEDS[instruction_set]):
        return None
    with tempfile.TemporaryDirectory() as folder:
        program = str(Path(folder, "peaks"))
        source = str(Path(__file__).with_suffix(".cpp"))
        try:
            subprocess.run(["c++", "-O2", "-std=c++17", source, "-o", program], check=True)
            done = subprocess.run(
                [program, instruction_set], check=True, capture_output=True, text=True
            )
        except (OSError, subprocess.CalledProcessError):
            return None
    return float(done.stdout)
