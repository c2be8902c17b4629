"""What PyTorch's own quantized convolutions make of every row of docs/feature_matrix.md.

    python benchmarks/stock_matrix.py --engine x86 --section ops data
    python benchmarks/stock_matrix.py --engine fbgemm --isa AVX2 --json stock.json

Every row runs in 1-D, 2-D and 3-D, each in a process of its own and against the float64 reference
of test/reference.py, with glibc's check of the heap, so that writing outside a buffer is noticed.
This package isn't needed, and isn't loaded.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import warnings
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "test"))

import torch
from child import Child, Death, check_heap
from features import Outcome
from matrix_rows import SECTIONS, STOCK_ENGINES
from op_calls import Ops
from rich.console import Console
from rich.progress import track
from rich.table import Table

DIMS = (1, 2, 3)


@dataclass(frozen=True)
class Request:
    """A row, by the names of its section and its own, in so many dimensions under an engine."""

    section: str
    row: str
    engine: str
    dims: int


@dataclass(frozen=True)
class Result:
    """What came of a request."""

    request: Request
    outcome: Outcome


def answer(request: Request) -> Outcome:
    """In the other process."""
    row = SECTIONS[request.section].rows[request.row]
    return row.outcome(Ops("quantized", request.engine), request.dims)


def run(request: Request) -> Result:
    # A process for each: a heap that one broke can't harm another.
    child = Child(answer, request.engine)
    outcome = child.ask(request)
    child.close()
    if isinstance(outcome, Death):
        outcome = Outcome(death=outcome.reason)
    return Result(request, outcome)


def requests(engines: Iterable[str], sections: Iterable[str]) -> list[Request]:
    """All requests of these engines and sections."""
    wanted = set(engines)
    return [
        Request(name, row, engine, dims)
        for name in sections
        for row in SECTIONS[name].rows
        for engine in SECTIONS[name].engines
        if engine in wanted
        for dims in DIMS
    ]


def cpu_name() -> str:
    """As Linux tells it; elsewhere the architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def facts() -> dict[str, str]:
    """What the results depend on."""
    return {
        "torch": str(torch.__version__),
        "cpu": cpu_name(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "vnni": "yes" if torch.cpu._is_vnni_supported() else "no",
        "fbgemm_instructions": os.environ.get("FBGEMM_ENABLE_INSTRUCTIONS", "any"),
    }


def word(outcome: Outcome) -> str:
    return f"wrong {outcome.worst}" if outcome.status == "wrong" else outcome.status


def table(results: list[Result], section: str, engines: list[str]) -> Table:
    """A row for each row of the section, with an entry a number of dimensions under each engine."""
    words = {result.request: word(result.outcome) for result in results}
    shown = Table(title=section)
    names = [engine for engine in engines if engine in SECTIONS[section].engines]
    for name in ("row", *names):
        shown.add_column(name)
    for row in SECTIONS[section].rows:
        cells = [", ".join(words[Request(section, row, name, d)] for d in DIMS) for name in names]
        shown.add_row(row, *cells)
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", choices=STOCK_ENGINES, nargs="+", default=STOCK_ENGINES)
    parser.add_argument("--section", choices=SECTIONS, nargs="+", default=list(SECTIONS))
    parser.add_argument("--isa", help="cap of FBGEMM's instruction set, such as AVX2 or AVX512")
    parser.add_argument("--json", type=Path, help="file for the results and what they depend on")
    parser.add_argument("--width", type=int, help="columns of the tables, when not a terminal")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    if arguments.isa:
        os.environ["FBGEMM_ENABLE_INSTRUCTIONS"] = arguments.isa
    check_heap()
    pending = requests(arguments.engine, arguments.section)
    console = Console(stderr=True)
    results = [run(request) for request in track(pending, description="runs", console=console)]
    if arguments.json:
        found = {"facts": facts(), "results": [asdict(result) for result in results]}
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")
    for section in arguments.section:
        Console(width=arguments.width).print(table(results, section, arguments.engine))
    print(", ".join(f"{name} {value}" for name, value in facts().items()))


if __name__ == "__main__":
    main()
