"""The package's main job on real input: train, quantize, pack, save, load, classify, compare."""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from torch_qconv_prepack._dependencies import require

from .backends import Backend, available_backends
from .data import Digits, load_digits
from .evaluate import FLOAT_FILE, TEST_SET_FILE, Measurement, classify_in_fresh_process
from .exact import exact_logits
from .network import FloatNetwork, train
from .packed_model import pack_network, save_atomically, save_network
from .quantize import QuantizedNetwork, quantize_network
from .quantized_tensors import without_deprecation_warnings
from .report import Report, Row, accuracy, measured_row

if TYPE_CHECKING:
    from rich.console import Console

EPOCHS = 25
REPEATS = 30
_SEED = 0


def run(
    output: Path | None = None,
    epochs: int = EPOCHS,
    repeats: int = REPEATS,
    seed: int = _SEED,
    console: Console | None = None,
) -> Report:
    """Train a small network on handwritten digits and run it in int8 with every engine.

    Args:
        output: folder for the saved networks, made if absent; a temporary one by default.
        epochs: passes over the 1,078 training images.
        repeats: timed runs over the test set.
        seed: of the initial weights and the order of the training images.
        console: where progress is shown; stderr by default.

    Returns:
        The table's rows; its `failures()` are empty if every check holds.

    Raises:
        MissingDependencyError: scikit-learn or rich is not installed.
        FreshProcessError: the saved networks could not be loaded or run.
    """
    require("demo", "demo", "rich")
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    progress = Progress(*columns, console=console or Console(stderr=True))
    with contextlib.ExitStack() as stack:
        stack.enter_context(without_deprecation_warnings())
        directory = output or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        directory.mkdir(parents=True, exist_ok=True)
        digits = load_digits()
        stack.enter_context(progress)

        training = progress.add_task(f"Training, {epochs} epochs", total=epochs)
        network = train(digits, epochs, seed, on_epoch=lambda: progress.advance(training))

        classifying = progress.add_task("Classifying in a fresh process", total=None)
        quantized = quantize_network(network, digits.train_images)
        backends = available_backends()
        _save(directory, digits, network, quantized, backends)
        files = [*(backend.file_name for backend in backends), FLOAT_FILE]
        measurements = classify_in_fresh_process(directory, files, repeats)
        progress.update(classifying, total=1, completed=1)
        return _report(directory, digits, quantized, backends, measurements)


def _save(
    directory: Path,
    digits: Digits,
    network: FloatNetwork,
    quantized: QuantizedNetwork,
    backends: tuple[Backend, ...],
) -> None:
    """Write all that the fresh process reads: one file per network, and the test images."""
    for backend in backends:
        save_network(pack_network(quantized, backend), directory / backend.file_name)
    save_atomically(network.state_dict(), directory / FLOAT_FILE)
    # Quantized once, so that all int8 networks start from the same pixels.
    pixels = quantized.input.quantize(digits.test_images)
    save_atomically({"uint8": pixels, "float32": digits.test_images}, directory / TEST_SET_FILE)


def _report(
    directory: Path,
    digits: Digits,
    quantized: QuantizedNetwork,
    backends: tuple[Backend, ...],
    measurements: dict[str, Measurement],
) -> Report:
    labels = digits.test_labels
    exact = torch.from_numpy(exact_logits(quantized, quantized.input.quantize(digits.test_images)))

    def row(title: str, file: str, must_be_exact: bool = False) -> Row:
        size = (directory / file).stat().st_size
        return measured_row(title, measurements[file], labels, exact, size, must_be_exact)

    rows = [
        replace(
            row(backend.title, backend.file_name, backend.is_ours),
            rounds_bias=backend.rounds_bias,
        )
        for backend in backends
    ]
    rows.append(Row("exact int8 reference", accuracy(exact, labels)))
    rows.append(row("float32", FLOAT_FILE))
    return Report(tuple(rows), float_accuracy=rows[-1].accuracy, images=len(labels))
