"""How much faster the layers of networks run on several threads than on one.

    python benchmarks/scaling.py --suite resnet50 --threads 2,4,8,16 [--batch 16] [--json FILE]

All numbers of threads are timed in one process, in rounds that interleave them, with
torch.set_num_threads; a ratio is taken in each round before its median is. This package's op is
called from Python, as in layers.py. More threads than usable cores are left out.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import suites
import tables
import torch
from contestants import TorchOp
from machine import facts
from problem import make_problem
from rich.console import Console
from suites import Layer
from timing import FULL, QUICK, Contestant, Sampling, Spread, interleaved


@dataclasses.dataclass(frozen=True)
class OnThreads:
    """A contestant that is timed on so many of PyTorch's threads."""

    contestant: Contestant
    threads: int

    def time_block(self, repetitions: int) -> float:
        torch.set_num_threads(self.threads)
        return self.contestant.time_block(repetitions)


def record(layer: Layer, options: argparse.Namespace, sampling: Sampling) -> dict[str, Any]:
    """By number of threads: microseconds, and one thread's time / that."""
    subject = TorchOp(make_problem(layer, options.batch), options.engine, ours=True)
    rounds = interleaved({str(n): OnThreads(subject, n) for n in options.threads}, sampling)
    return {
        "name": layer.name,
        "multiply_adds": layer.multiply_adds(),
        "threads": {
            n: {
                "microseconds": dataclasses.asdict(Spread.of(times)),
                "speedup": dataclasses.asdict(
                    Spread.of([one / time for one, time in zip(rounds["1"], times, strict=True)])
                ),
            }
            for n, times in rounds.items()
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--suite", type=suites.list_of_names, default=["resnet50"], help="default: resnet50")
    add("--threads", default="2,4,8,16", help="beside 1; default 2,4,8,16")
    add("--engine", default="auto", help="of this package, default auto")
    add("--batch", type=int, default=1)
    add("--rounds", type=int, help="default 15; each gives every number of threads about 2 ms")
    add("--quick", action="store_true", help="3 short rounds: figures are rough")
    add("--json", type=Path, metavar="FILE", help="also write the figures to it")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    cores = len(os.sched_getaffinity(0))
    wanted = sorted({1, *map(int, options.threads.split(","))})
    options.threads = [n for n in wanted if n <= cores]
    sampling = QUICK if options.quick else FULL
    sampling = dataclasses.replace(sampling, rounds=options.rounds or sampling.rounds)
    measured = {}
    for suite in options.suite:
        measured[suite] = []
        for layer in suites.load(suite):
            print(f"{suite}: {layer.name}", file=sys.stderr)
            measured[suite].append(record(layer, options, sampling))
    result = {
        "facts": facts(),
        "settings": {
            "engine": options.engine,
            "threads": options.threads,
            "batch": options.batch,
            "isa": None,
            "sampling": dataclasses.asdict(sampling),
        },
        "scaling": measured,
    }
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(result, indent=1))
    console = Console()
    for line in tables.fact_lines(result):
        console.print(line, highlight=False, soft_wrap=True)
    for table in tables.scaling_tables(result):
        table.print(console)


if __name__ == "__main__":
    main()
