"""`python -m torch_qconv_prepack demo`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from torch_qconv_prepack._dependencies import require

from . import EPOCHS, REPEATS, run

HELP = "train a small network on handwritten digits, then quantize, pack, save, load and run it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "--output", type=Path, help="folder to keep the saved networks in (default: none are kept)"
    )
    parser.add_argument(
        "--epochs", type=_positive, default=EPOCHS, help="of training (default: %(default)s)"
    )
    parser.add_argument(
        "--repeats", type=_positive, default=REPEATS, help="timed runs (default: %(default)s)"
    )


def execute(options: argparse.Namespace) -> int:
    """Run the demo and print its table; return 0 if all checks hold, else 1."""
    require("demo", "demo", "rich")
    from rich.console import Console

    report = run(options.output, options.epochs, options.repeats)
    Console().print(report.table())
    failures = report.failures()
    for failure in failures:
        print(f"demo: failed: {failure}", file=sys.stderr)
    if not failures:
        print("demo: passed: accuracy and every digit are as they must be")
    return 1 if failures else 0


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, got {value}")
    return value
