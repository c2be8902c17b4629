"""Measures what docs/performance.md reports, and writes that page.

    python benchmarks/performance.py measure FOLDER [--engine native] [--quick] [--rounds N]
        [--only NAME,...]
    python benchmarks/performance.py page FOLDER... [--docs docs]

`measure` runs the benchmarks in RUNS that this CPU can run, one process each, and leaves a JSON
file of each in FOLDER: one folder for each machine. `page` makes docs/performance.md and its charts
from such folders alone, in their order, whatever machine they come from.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tables

HERE = Path(__file__).parent
ROOT = HERE.parent

HEAD = """\
# Speed

Made by `make performance`: `benchmarks/performance.py` runs what each section names and writes this
page. `benchmarks/README.md` says how it is measured. Figures are those of the machine named above
them. "Our core from C" is the same kernel without PyTorch's call around it: below 1, by what a call
costs.

"""


@dataclass(frozen=True)
class Run:
    """One run of a benchmark and its section of the page.

    needs: the CPU feature without which it is left out, as `info` names it.
    full: whether the page has a line for each layer and charts, or the sums alone.
    """

    name: str
    title: str
    script: str
    arguments: tuple[str, ...] = ()
    needs: str = ""
    full: bool = False


NETWORKS = ("--suite", "resnet50,mobilenet_v2")


def _held_to(isa: str, title: str) -> Run:
    return Run(isa, f"Held to {title}", "layers.py", (*NETWORKS, "--isa", isa), needs=isa)


RUNS = (
    Run("one_thread", "One thread, batch 1", "layers.py", full=True),
    _held_to("avx512_vnni", "AVX512-VNNI"),
    _held_to("avx_vnni", "AVX-VNNI"),
    _held_to("avx2", "AVX2"),
    Run("batch_16", "Batch 16", "layers.py", (*NETWORKS, "--batch", "16", "--rounds", "3")),
    Run("scaling", "Several threads, batch 1", "scaling.py", NETWORKS),
    Run(
        "scaling_batch_16",
        "Several threads, batch 16",
        "scaling.py",
        ("--suite", "resnet50", "--batch", "16", "--rounds", "5"),
    ),
    Run(
        "epilogues",
        "Addends and dynamic ops",
        "epilogues.py",
        ("--suite", "resnet50", "--what", "add,dynamic"),
    ),
    Run("prepack", "Packing", "layers.py", (*NETWORKS, "--prepack"), full=True),
    Run("op_cost", "Cost of an op", "op_cost.py", full=True),
)


def measure(folder: Path, engine: str, sampling: list[str], only: list[str] | None) -> None:
    info = [sys.executable, "-m", "torch_qconv_prepack", "info", "--json"]
    facts = json.loads(subprocess.run(info, check=True, capture_output=True, text=True).stdout)
    folder.mkdir(parents=True, exist_ok=True)
    for run in RUNS:
        if only is not None and run.name not in only:
            continue
        if run.needs and not facts["machine"]["cpu_features"].get(run.needs):
            print(f"{run.name}: left out, this CPU has no {run.needs}")
            continue
        own_sampling = sampling if run.script != "op_cost.py" else []
        arguments = [*run.arguments, "--engine", engine, *own_sampling]
        print(f"{run.name}: {run.script} {' '.join(arguments)}", flush=True)
        command = [sys.executable, str(HERE / run.script), *arguments]
        subprocess.run([*command, "--json", str(folder / f"{run.name}.json")], check=True)


def write_page(folders: list[Path], docs: Path) -> Path:
    sections = [section for folder in folders for section in _machine(folder, docs)]
    page = docs / "performance.md"
    page.write_text(HEAD + "\n".join(sections))
    return page


def _machine(folder: Path, docs: Path) -> Iterator[str]:
    results = {run.name: _read(folder / f"{run.name}.json") for run in RUNS}
    found = {name: result for name, result in results.items() if result}
    if not found:
        sys.exit(f"{folder} has none of the files that `performance.py measure` writes")
    first = next(iter(found.values()))
    yield f"## {first['facts']['machine']['cpu']}, {first['facts']['date']}\n"
    for run in RUNS:
        if run.name in found:
            yield from _section(run, found[run.name], folder, docs)


def _read(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text()) if path.is_file() else None


def _section(run: Run, result: dict[str, Any], folder: Path, docs: Path) -> Iterator[str]:
    yield f"### {run.title}\n"
    engine = ("--engine", result["settings"]["engine"])
    yield f"`python benchmarks/{run.script} {' '.join((*run.arguments, *engine))}`\n"
    yield "".join(f"- {line}\n" for line in tables.fact_lines(result))
    if run.script == "op_cost.py":
        yield tables.op_cost_table(result).markdown()
        return
    if run.script == "epilogues.py":
        for what, records in result["tables"].items():
            yield f"{what}\n"
            yield tables.epilogue_table(what, records).markdown()
        return
    if run.script == "scaling.py":
        for table in tables.scaling_tables(result):
            yield f"{table.title}\n"
            yield table.markdown()
        return
    for suite, measured in result["suites"].items():
        yield from (f"- {line}" for line in tables.lines(suite, measured))
        yield ""
        if "prepack" in measured:
            yield tables.packing_ratio_table(suite, measured).markdown()
        if run.full:
            # The table before is the last of these.
            yield tables.tables(suite, measured)[0].markdown()
    if run.full and not result["settings"]["prepack"]:
        # Only pages need what draws: figures can be measured without it.
        import charts
        import matplotlib as mpl

        yield tables.HOW_TO_READ + "\n"
        with mpl.rc_context(charts.STYLE):
            files = charts.draw(folder / f"{run.name}.json", docs / "images" / folder.name)
        for file in files:
            yield f"![{file.stem.replace('_', ' ')}]({file.relative_to(docs)})\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    measuring = commands.add_parser("measure", help="run the benchmarks")
    measuring.add_argument("folder", type=Path)
    measuring.add_argument("--engine", default="auto", help="of this package, default auto")
    measuring.add_argument("--quick", action="store_true", help="rough figures in a few minutes")
    measuring.add_argument("--rounds", help="in place of each run's own number")
    measuring.add_argument("--only", help=f"of {', '.join(run.name for run in RUNS)}")
    writing = commands.add_parser("page", help="write the page from files")
    writing.add_argument("folders", nargs="+", type=Path)
    writing.add_argument("--docs", type=Path, default=ROOT / "docs")
    options = parser.parse_args()
    if options.command == "measure":
        only = options.only.split(",") if options.only else None
        sampling = ["--quick"] if options.quick else []
        if options.rounds:
            sampling += ["--rounds", options.rounds]
        measure(options.folder, options.engine, sampling, only)
    else:
        print(write_page(options.folders, options.docs))


if __name__ == "__main__":
    main()
