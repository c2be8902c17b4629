"""Classify the test set with the saved networks in a fresh process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

FLOAT_FILE = "float32.pt"
TEST_SET_FILE = "test_set.pt"
RESULTS_FILE = "results.pt"
_TIMEOUT = 600.0  # seconds


class FreshProcessError(RuntimeError):
    """The process that loads and runs the saved networks failed."""


@dataclass(frozen=True)
class Measurement:
    """One network's logits [N, 10] of the test set, and the seconds that each run over it took."""

    logits: Tensor
    seconds: Tensor


def classify_in_fresh_process(
    directory: Path, files: Sequence[str], repeats: int
) -> dict[str, Measurement]:
    """Load `files` of `directory` in a new interpreter, and run each over the test set there.

    Returns:
        A measurement for each file.

    Raises:
        FreshProcessError: it failed; the text holds what it wrote to stderr.
    """
    module = f"{__package__}.fresh_process"
    command = [sys.executable, "-m", module, str(directory), "--repeats", str(repeats), *files]
    # The same package as here, from wherever this process imported it.
    package_parent = str(Path(__file__).parents[2])
    path = [package_parent, *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
    child = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=_TIMEOUT, check=False
    )
    if child.returncode != 0:
        raise FreshProcessError(
            f"demo: the fresh process ended with status {child.returncode}:\n{child.stderr}"
        )
    results = torch.load(directory / RESULTS_FILE)
    return {file: Measurement(**results[file]) for file in files}
