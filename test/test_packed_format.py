"""The golden bytes of the packed format are what the specification's own script makes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

NATIVE = Path(__file__).parent / "native"


def test_golden_bytes_are_those_of_the_script() -> None:
    made = subprocess.run(
        [sys.executable, NATIVE / "golden_bytes.py"], capture_output=True, text=True, check=True
    ).stdout
    assert made == (NATIVE / "golden_bytes.h").read_text()
