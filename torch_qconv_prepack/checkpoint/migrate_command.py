"""`python -m torch_qconv_prepack migrate`."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from torch_qconv_prepack._dependencies import require

from ._migrate import Migration, migrate
from ._nodes import TOLD_ERRORS, told
from .inspect_command import printable

HELP = "write the quantized convolutions of old files as plain tensors, verified"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("source", metavar="IN", type=Path, help="a file, or a folder of them")
    parser.add_argument(
        "target", metavar="OUT", type=Path, help="the new file (.safetensors, .pt, .pth), or folder"
    )
    parser.add_argument(
        "--to",
        dest="kind",
        choices=("safetensors", "state_dict"),
        help="what to write (default: by OUT's suffix; safetensors in a folder)",
    )
    parser.add_argument(
        "--geometry",
        type=Path,
        metavar="JSON",
        help='file with what state_dicts lack: {"NAME": {"stride": 2, ...}, "*": {...}}',
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace what is at OUT (default: refuse)"
    )
    parser.add_argument(
        "--jobs", type=int, metavar="N", help="files at a time (default: one a core)"
    )


def execute(options: argparse.Namespace) -> int:
    """Migrate and say what became of the files; return 0, or 1 where it failed."""
    require("migrate", "files", "rich")
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("migrate", total=None)

        def progress(migration: Migration, total: int) -> None:
            bar.update(task, total=total, advance=1)
            if migration.error:
                _complain(f"{migration.source}: {migration.error}")

        try:
            migrations = migrate(
                options.source,
                options.target,
                kind=options.kind,
                geometry=_geometry(options.geometry),
                overwrite=options.overwrite,
                jobs=options.jobs,
                progress=progress,
            )
        except TOLD_ERRORS as error:
            _complain(told(error))
            return 1
    if not migrations:
        _complain(
            "migrate: source must hold files that begin as PyTorch's do, "
            f"got none in the folder {options.source}"
        )
        return 1
    statuses = Counter(migration.status for migration in migrations)
    convolutions = sum(migration.convolutions for migration in migrations)
    counts = ", ".join(f"{count} {status}" for status, count in sorted(statuses.items()))
    print(f"migrate: {counts}; {convolutions} convolutions")
    return int("failed" in statuses)


def _complain(text: str) -> None:
    print(printable(text), file=sys.stderr)


def _geometry(path: Path | None) -> Any:
    if path is None:
        return None
    try:
        values = json.loads(path.read_text())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"migrate: --geometry must be JSON, got {path}: {error}") from None
    if not isinstance(values, dict):
        raise ValueError(f"migrate: --geometry must hold an object by names, got {path}")
    return values
