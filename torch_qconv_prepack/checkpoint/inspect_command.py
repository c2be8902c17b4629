"""`python -m torch_qconv_prepack inspect`."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from torch_qconv_prepack._dependencies import require

from ._inspect import ConvInfo, FileInfo, inspect
from ._nodes import TOLD_ERRORS, told

if TYPE_CHECKING:
    from rich.table import Table

HELP = "print the quantized convolutions that files hold, without running anything in the files"

# Where the output is no terminal, wide enough for every column.
_WIDTH = 160


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="written by PyTorch or by migrate")
    parser.add_argument(
        "--json", action="store_true", help="print JSON (keys: docs/checkpoints.md)"
    )


def execute(options: argparse.Namespace) -> int:
    """Print what is inside; return 0, or 1 where a file couldn't be read."""
    if not options.json:
        require("inspect", "files", "rich")
    results = [_inspected(path) for path in options.files]
    if options.json:
        print(json.dumps({"files": [_as_json(result) for result in results]}, indent=2))
    else:
        for result in results:
            _print(result)
    return int(any(isinstance(result, _Failure) for result in results))


@dataclasses.dataclass(frozen=True)
class _Failure:
    path: str
    error: str


def _inspected(path: str) -> FileInfo | _Failure:
    try:
        return inspect(path)
    except TOLD_ERRORS as error:
        return _Failure(path, told(error))


def _as_json(result: FileInfo | _Failure) -> dict[str, Any]:
    return dataclasses.asdict(result)


def _print(result: FileInfo | _Failure) -> None:
    from rich.console import Console

    if isinstance(result, _Failure):
        print(f"inspect: {printable(result.error)}", file=sys.stderr)
        return
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    console.print(table(result))
    for conv in result.convolutions:
        if conv.problem:
            console.print(f"{printable(conv.name)}: {printable(conv.problem)}", markup=False)


def table(info: FileInfo) -> Table:
    """Return a file's convolutions as a table to print with rich."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    size = f"{info.container}, {info.bytes:,} bytes"
    result = Table(
        box=box.SIMPLE,
        pad_edge=False,
        title=Text(f"{printable(info.path)} ({size}): {len(info.convolutions)} convolutions"),
        title_justify="left",
        caption=Text("\n".join(_notes(info))),
        caption_justify="left",
    )
    result.add_column("name", overflow="fold")
    for header in ("kind", "weight", "stride", "padding", "dilation"):
        result.add_column(header)
    result.add_column("groups", justify="right")
    for header in ("scheme", "zero points", "bias", "format"):
        result.add_column(header)
    result.add_column("packed", justify="right")
    for conv in info.convolutions:
        result.add_row(*(Text(cell) for cell in _cells(conv)))
    return result


def _notes(info: FileInfo) -> Iterator[str]:
    if any(conv.packed_bytes is not None for conv in info.convolutions):
        yield "packed: bytes in memory, with the default engine"
    if any(conv.groups is None for conv in info.convolutions):
        yield "?: a state_dict doesn't hold it"


def _cells(conv: ConvInfo) -> list[str]:
    low, high = conv.weight_zero_points
    padding = _by(conv.padding)
    if conv.padding_mode != "zeros":
        padding += f" {printable(conv.padding_mode)}"
    return [
        printable(conv.name) or "-",
        conv.kind,
        _by(conv.weight_shape),
        _by(conv.stride),
        padding,
        _by(conv.dilation),
        "?" if conv.groups is None else str(conv.groups),
        conv.weight_scheme,
        "0" if low == high == 0 else f"{low} to {high}",
        "yes" if conv.bias else "no",
        conv.format,
        "-" if conv.packed_bytes is None else f"{conv.packed_bytes:,}",
    ]


def _by(values: tuple[int, ...] | None) -> str:
    return "?" if values is None else "x".join(map(str, values))


def printable(text: str) -> str:
    """Return a text from a file without what could steer a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
