"""The process that knows nothing but the saved files: it loads, runs and times each network.

`python -m torch_qconv_prepack.demo.fresh_process DIRECTORY --repeats N FILE...` leaves its results
in the directory.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from .evaluate import FLOAT_FILE, RESULTS_FILE, TEST_SET_FILE, Measurement
from .network import FloatNetwork
from .packed_model import load_network, save_atomically
from .quantized_tensors import without_deprecation_warnings


def _load(directory: Path, file: str) -> Callable[[], Tensor]:
    """Return a function that runs the network in `file` over the test set and gives its logits."""
    test_set = torch.load(directory / TEST_SET_FILE)
    if file == FLOAT_FILE:
        float_network = FloatNetwork().eval()
        float_network.load_state_dict(torch.load(directory / file))
        return lambda: float_network(test_set["float32"])
    packed_network = load_network(directory / file)
    return lambda: packed_network.logits(test_set["uint8"])


def _measure(runs: dict[str, Callable[[], Tensor]], repeats: int) -> dict[str, Measurement]:
    logits = {file: run() for file, run in runs.items()}  # the first run also warms up
    seconds = torch.empty(len(runs), repeats, dtype=torch.float64)
    for repeat in range(repeats):
        # One after the other, so that a change of the machine's speed meets all alike.
        for row, run in enumerate(runs.values()):
            start = time.perf_counter()
            run()
            seconds[row, repeat] = time.perf_counter() - start
    return {file: Measurement(logits[file], seconds[row]) for row, file in enumerate(runs)}


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--repeats", type=int, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with torch.inference_mode(), without_deprecation_warnings():
        runs = {file: _load(options.directory, file) for file in options.files}
        results = _measure(runs, options.repeats)
    plain = {file: vars(measurement) for file, measurement in results.items()}
    save_atomically(plain, options.directory / RESULTS_FILE)


if __name__ == "__main__":
    _main()
