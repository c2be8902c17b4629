"""Engines read nothing outside the input."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import native_instruction_sets
import pytest
from conv_case import ConvCase
from ops import on_engines, supported

CASES = (
    ConvCase("conv", in_channels=1, out_channels=5),
    ConvCase("padded", in_channels=3, padding=(1,)),
    ConvCase("1x1", in_channels=3, kernel=(1,)),
    ConvCase("wide 1x1", in_channels=21, kernel=(1,)),
    ConvCase("zero points", in_channels=21, weight_zero_points=True, batch=2),
    ConvCase("depthwise", in_channels=5, out_channels=5, groups=5),
    ConvCase("depthwise 5x5", in_channels=13, out_channels=13, groups=13, kernel=(5,)),
    ConvCase("wide depthwise", in_channels=70, out_channels=70, groups=70, padding=(1,)),
    ConvCase("groups", in_channels=12, groups=4),
    ConvCase("transposed", transposed=True, in_channels=2),
    ConvCase("conv3d", dims=3, in_channels=2),
)


def run_guarded(cases: Sequence[ConvCase], module: str, engine: str, **variables: str) -> int:
    """Exit status of a process that runs the cases with no memory beside their inputs."""
    program = f"""
from conv_case import ConvCase
from guarded_memory import with_guarded_input
from ops import {module}pack as pack, {module}run as run
for case in {cases!r}:
    for end in ("start", "end"):
        data = with_guarded_input(case.data(), end)
        run(data, pack(data, "{engine}"))
"""
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        cwd=Path(__file__).parent,
        env=os.environ | variables,
        capture_output=True,
    )
    return result.returncode


@on_engines(CASES)
def test_no_engine_reads_outside_the_input(case: ConvCase, engine: str) -> None:
    assert run_guarded([supported(case, engine)], "", engine) == 0


@pytest.mark.parametrize("name", native_instruction_sets.AVAILABLE)
def test_native_reads_nothing_outside_on_any_instruction_set(name: str) -> None:
    assert run_guarded(CASES, "", "native", **{native_instruction_sets.VARIABLE: name}) == 0


def test_stock_qnnpack_reads_outside_the_input() -> None:
    assert run_guarded(CASES[:1], "stock_", "qnnpack") == -signal.SIGSEGV
