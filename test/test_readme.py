"""The README's example runs, and what it says of targets and files is so."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_the_example_runs_and_prints_the_summary() -> None:
    (program,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len([line for line in program.splitlines() if line]) <= 12
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=True
    )
    assert result.stdout.startswith("conv2d(3 -> 16, kernel 3x3, padding 1x1)\n")


def test_the_commands_are_targets() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for command in re.findall(r"make ([a-z]+)", README):
        assert command in targets or command == "alone", command


def test_named_files_exist() -> None:
    named = re.findall(r"`((?:docs|test|benchmarks|csrc|torch_qconv_prepack)/[\w/.]*)`", README)
    assert named
    for name in named:
        assert (ROOT / name).exists(), name
