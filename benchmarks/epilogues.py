"""Times what becomes of a convolution's sums: addends, outputs, functions and dynamic ops.

    python benchmarks/epilogues.py --suite resnet50 --layers '1 @' --what add
    python benchmarks/epilogues.py --what outputs,functions --json figures.json

Everything is called from Python, outputs allocated, in interleaved rounds (README.md). A table's
first column is a convolution alone, whose times the others' are ratios to:

add        conv2d_relu; conv2d_add_relu with a tensor to add; PyTorch's two (engine onednn)
outputs    qconv2d_pointwise to uint8; from and to other types
functions  qconv2d_pointwise to uint8; with a function, or with a float tensor to add
dynamic    conv2d_dynamic on a float tensor; PyTorch's, of its engines; and conv2d_relu
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import instruction_sets
import suites

TABLES = ("add", "outputs", "functions", "dynamic")


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = result.add_argument
    add("--suite", type=lambda text: text.split(","), default=["resnet50"])
    add("--layers", default="", metavar="REGEX", help="only layers whose name it matches")
    add("--what", type=lambda text: text.split(","), default=list(TABLES), help="tables")
    add("--engine", default="native", help="of this package; default native")
    add("--isa", choices=instruction_sets.CAPS, help="hold this package and oneDNN to it")
    add("--threads", type=int, default=1)
    add("--batch", type=int, default=1)
    add("--rounds", type=int, help="default 15")
    add("--quick", action="store_true", help="3 short rounds: figures are rough")
    add("--json", type=Path, metavar="FILE", help="also write all figures to it")
    return result


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    if unknown := set(options.what) - set(TABLES):
        sys.exit(f"--what may be {', '.join(TABLES)}, got {', '.join(sorted(unknown))}")
    if unknown := set(options.suite) - set(suites.names()):
        sys.exit(f"--suite may be {', '.join(suites.names())}, got {', '.join(sorted(unknown))}")
    if options.isa:
        # Before torch is imported, which the modules below do.
        instruction_sets.hold_to(options.isa)
    warnings.simplefilter("ignore")
    calls, machine, tables, timing, torch, console = map(
        importlib.import_module,
        ("epilogue_calls", "machine", "tables", "timing", "torch", "rich.console"),
    )
    torch.set_num_threads(options.threads)
    layers = [
        (suite, layer)
        for suite in options.suite
        for layer in suites.load(suite, options.layers)
        if layer.op == "conv2d"
    ]
    sampling = timing.QUICK if options.quick else timing.FULL
    sampling = dataclasses.replace(sampling, rounds=options.rounds or sampling.rounds)
    found = {
        what: calls.measure(what, layers, options.engine, options.batch, sampling)
        for what in options.what
    }
    settings = {name: getattr(options, name) for name in ("engine", "threads", "batch", "isa")}
    result = {
        "facts": machine.facts(),
        "settings": {**settings, "sampling": dataclasses.asdict(sampling)},
        "tables": found,
    }
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))
    output = console.Console(width=None if sys.stdout.isatty() else 240)
    for line in tables.fact_lines(result):
        output.print(line, highlight=False, soft_wrap=True)
    for what, records in found.items():
        tables.epilogue_table(what, records).print(output)


if __name__ == "__main__":
    main()
