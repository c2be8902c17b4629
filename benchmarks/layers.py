"""Times the convolutions of networks, beside PyTorch's ops and other runtimes.

    python benchmarks/layers.py --suite resnet50 --engine native --json figures.json
    python benchmarks/layers.py --isa avx512_vnni --peers x86,openvino --layers 'dw'
    python benchmarks/layers.py --prepack

The subject is this package's conv2d_relu as called from Python, output allocated; PyTorch's ops are
called alike. Of OpenVINO and ONNX Runtime only the convolution node counts, by their own profiles.
README.md says how it is measured and what the figures mean.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import instruction_sets
import suites
import tables
from rich.console import Console

HERE = Path(__file__).parent


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = result.add_argument
    add("--suite", type=suites.list_of_names, default=suites.names(), help="default: all")
    add("--layers", default="", metavar="REGEX", help="only layers whose name it matches")
    add("--engine", default="auto", help="of this package, default auto")
    add("--peers", metavar="NAMES", help="comma-separated, or none; default: those installed")
    add("--isa", choices=instruction_sets.CAPS, help="hold this package and oneDNN to it")
    add("--threads", type=int, default=1)
    add("--batch", type=int, default=1)
    add("--input-zero-point", type=int, default=3, help="of all contestants' inputs, default 3")
    add("--rounds", type=int, help="default 15; each gives every contestant about 2 ms")
    add("--quick", action="store_true", help="3 short rounds: figures are rough")
    add("--prepack", action="store_true", help="time packing, of all engines, and not running")
    add("--json", type=Path, metavar="FILE", help="also write all figures to it")
    return result


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    if options.isa:
        # Before torch is imported, which the modules below do.
        instruction_sets.hold_to(options.isa)
    warnings.simplefilter("ignore")  # PyTorch's about quantized tensors, once for each op
    console = Console(width=None if sys.stdout.isatty() else 240)
    result = importlib.import_module("measure").run(
        _settings(options), sys.argv[1:] if arguments is None else list(arguments), _progress
    )
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(result, indent=1))
    _report(result, console)


def _settings(options: argparse.Namespace) -> object:
    # These import torch.
    import contestants
    import measure
    import timing

    import torch_qconv_prepack as qconv

    engines = [record.name for record in qconv.engines()]
    if options.engine not in engines:
        sys.exit(f"--engine must be one of {', '.join(engines)}, got {options.engine}")
    if options.peers is None:
        peers = [
            name for name in contestants.DEFAULT_PEERS if not contestants.missing_modules(name)
        ]
    else:
        peers = [] if options.peers == "none" else options.peers.split(",")
    for peer in peers:
        if peer not in contestants.PEERS:
            sys.exit(f"--peers may be {', '.join(contestants.PEERS)}, got {peer}")
        if missing := contestants.missing_modules(peer):
            sys.exit(f"--peers {peer}: install {' and '.join(missing)} (make bench-peers)")
    if options.isa:
        peers = [peer for peer in peers if peer not in instruction_sets.NOT_HELD]
    sampling = timing.QUICK if options.quick else timing.FULL
    if options.rounds:
        sampling = timing.Sampling(options.rounds, sampling.block_microseconds)
    return measure.Settings(
        suites=options.suite,
        engine=options.engine,
        peers=peers,
        layers=options.layers,
        threads=options.threads,
        batch=options.batch,
        input_zero_point=options.input_zero_point,
        isa=options.isa,
        prepack=options.prepack,
        sampling=sampling,
    )


def _report(result: dict[str, Any], console: Console) -> None:
    prepack = result["settings"]["prepack"]
    for line in tables.fact_lines(result):
        console.print(line, highlight=False, soft_wrap=True)
    for suite, measured in result["suites"].items():
        for table in tables.tables(suite, measured):
            table.print(console)
        for line in tables.lines(suite, measured):
            console.print(line, highlight=False, soft_wrap=True)
    if not prepack:
        console.print(tables.HOW_TO_READ, highlight=False, soft_wrap=True)


def _progress(what: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{what}\r", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
