"""Engines read nothing outside the input."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from ops import ENGINES, skip_what_is_refused

CASES = (
    "ConvCase('conv', in_channels=1, out_channels=5)",
    "ConvCase('padded', in_channels=3, padding=(1,))",
    "ConvCase('1x1', in_channels=3, kernel=(1,))",
    "ConvCase('wide 1x1', in_channels=21, kernel=(1,))",
    "ConvCase('depthwise', in_channels=5, out_channels=5, groups=5)",
    "ConvCase('depthwise 5x5', in_channels=13, out_channels=13, groups=13, kernel=(5,))",
    "ConvCase('groups', in_channels=12, groups=4)",
    "ConvCase('transposed', transposed=True, in_channels=2)",
    "ConvCase('conv3d', dims=3, in_channels=2)",
)
cases = pytest.mark.parametrize("case", CASES, ids=[case.split("'")[1] for case in CASES])


def run_guarded(case: str, module: str, engine: str) -> int:
    """Exit status of a process that runs the case with no memory beside its input."""
    program = f"""
from conv_case import ConvCase
from guarded_memory import with_guarded_input
from ops import {module}pack as pack, {module}run as run
for end in ("start", "end"):
    data = with_guarded_input({case}.data(), end)
    run(data, pack(data, "{engine}"))
"""
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        cwd=Path(__file__).parent,
        capture_output=True,
    )
    return result.returncode


@cases
@pytest.mark.parametrize("engine", ENGINES)
def test_no_engine_reads_outside_the_input(case: str, engine: str) -> None:
    skip_what_is_refused("transposed" in case, engine)
    assert run_guarded(case, "", engine) == 0


def test_stock_qnnpack_reads_outside_the_input() -> None:
    assert run_guarded(CASES[0], "stock_", "qnnpack") == -signal.SIGSEGV
