"""Finds the shapes for which PyTorch's own quantized convolution engines are wrong.

    python benchmarks/stock_faults.py --engine fbgemm --cases 5000 --seed 0

Every case runs in a worker process, against the float64 reference of test/reference.py. A worker
that crashes is replaced, and the case tried once more alone. Each case is checked four ways:
run: the op itself; relu: the fused ReLU (forward only); again: the same packed object with an
input of another size and zero point; unpack: the weight comes back as it went in.
"""

import argparse
import multiprocessing
import os
import platform
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "test"))

import torch
from cases import CASES
from comparison import compare
from conv_case import ConvCase, ConvData
from random_cases import random_case, special_case
from rich.console import Console
from rich.progress import track
from rich.table import Table
from shape_families import FAMILIES, family

# Longest that one case may take before its worker counts as hung, in seconds.
PATIENCE = 20.0


@dataclass(frozen=True)
class Observation:
    """One check of one case. error: why it was refused, or how the process died."""

    check: str
    outcome: str
    worst: int = 0
    fraction: float = 0.0
    error: str = ""


def prepack(case: ConvCase, data: ConvData) -> Any:
    geometry = data.geometry
    name = f"conv_transpose{case.dims}d_prepack" if case.transposed else f"conv{case.dims}d_prepack"
    extra = [list(geometry.output_padding)] if case.transposed else []
    return getattr(torch.ops.quantized, name)(
        data.weight,
        data.bias,
        list(geometry.stride),
        list(geometry.padding),
        *extra,
        list(geometry.dilation),
        geometry.groups,
    )


def run(case: ConvCase, data: ConvData, packed: Any, relu: bool = False) -> torch.Tensor:
    name = f"conv_transpose{case.dims}d" if case.transposed else f"conv{case.dims}d"
    op = getattr(torch.ops.quantized, name + ("_relu" if relu else ""))
    result: torch.Tensor = op(data.activation, packed, data.output_scale, data.output_zero_point)
    return result


def _compared(check: str, actual: torch.Tensor, data: ConvData, relu: bool = False) -> Observation:
    difference = compare(actual, data.expected(relu, torch.backends.quantized.engine))
    fraction = difference.wrong / max(difference.total, 1)
    outcome = "right" if difference.acceptable else "wrong"
    return Observation(check, outcome, difference.worst, fraction)


def _again(case: ConvCase, data: ConvData, packed: Any) -> Observation:
    """Same weights, an input two longer in each dimension with another zero point."""
    larger = tuple(size + 2 for size in case.input_size)
    other = case.but(input_size=larger, batch=max(case.batch, 1), seed=case.seed + 1).data()
    again = replace(data, activation=other.activation)
    return _compared("again", run(case, again, packed), again)


def _unpacked(case: ConvCase, data: ConvData, packed: Any) -> Observation:
    name = f"conv_transpose{case.dims}d_unpack" if case.transposed else f"conv{case.dims}d_unpack"
    weight = getattr(torch.ops.quantized, name)(packed)[0]
    same = weight.int_repr() == data.weight.int_repr()
    fraction = float((~same).double().mean())
    return Observation("unpack", "right" if same.all() else "wrong", fraction=fraction)


def observe(case: ConvCase) -> Iterator[Observation]:
    """All checks of a case; a refusal is an observation too."""
    data = case.data()
    try:
        packed = prepack(case, data)
    except (RuntimeError, ValueError, NotImplementedError) as error:
        yield Observation("prepack", "refused", error=str(error).splitlines()[0])
        return
    checks: list[tuple[str, Callable[[], Observation]]] = [
        ("run", lambda: _compared("run", run(case, data, packed), data)),
        ("again", lambda: _again(case, data, packed)),
        ("unpack", lambda: _unpacked(case, data, packed)),
    ]
    if not case.transposed:
        relu = lambda: _compared("relu", run(case, data, packed, True), data, True)  # noqa: E731
        checks.insert(1, ("relu", relu))
    for name, check in checks:
        try:
            yield check()
        except RuntimeError as error:
            yield Observation(name, "refused", error=str(error).splitlines()[0])


def work(connection: Connection, engine: str, threads: int) -> None:
    """The worker: receives cases, answers each with its observations."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # The C library's last words on a broken heap.
    warnings.simplefilter("ignore")
    torch.set_num_threads(threads)
    torch.backends.quantized.engine = engine
    while (case := connection.recv()) is not None:
        connection.send(list(observe(case)))


class Worker:
    """A process that is replaced when it dies."""

    def __init__(self, engine: str, threads: int) -> None:
        self._arguments = (engine, threads)
        self._start()

    def _start(self) -> None:
        # Forked from a server that has loaded torch once: a crash then costs milliseconds.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["torch", "conv_case"])
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=work, args=(theirs, *self._arguments), daemon=True)
        self._process.start()
        theirs.close()

    def observe(self, case: ConvCase) -> list[Observation]:
        first = self._ask(case)
        if first[0].outcome != "crash":
            return first
        second = self._ask(case)
        if second[0].outcome == "crash":
            return second
        # Only memory broken by an earlier case explains it, or luck.
        return [Observation("process", "unclear", error=first[0].error), *second]

    def _ask(self, case: ConvCase) -> list[Observation]:
        try:
            self._connection.send(case)
            if self._connection.poll(PATIENCE):
                answer: list[Observation] = self._connection.recv()
                return answer
            self._process.kill()
        except (EOFError, ConnectionError):
            pass
        self._process.join()
        error = f"exit status {self._process.exitcode}"
        self._start()
        return [Observation("process", "crash", error=error)]

    def close(self) -> None:
        self._connection.send(None)
        self._process.join()


@dataclass
class Tally:
    """What was seen of one family, with data of one range, under one check."""

    counts: Counter[str] = field(default_factory=Counter)
    worst: Observation | None = None
    example: ConvCase | None = None

    def add(self, case: ConvCase, seen: Observation) -> None:
        self.counts[seen.outcome] += 1
        bad = seen.outcome in ("wrong", "crash", "unclear")
        if bad and (self.worst is None or seen.worst > self.worst.worst):
            self.worst, self.example = seen, case


# Family, range of the data, check.
Tallies = dict[tuple[str, str, str], Tally]


def sweep(cases: list[ConvCase], worker: Worker) -> Tallies:
    tallies: Tallies = {}
    for case in track(cases, description="cases", console=Console(stderr=True)):
        data = "full" if case.full_range else "moderate"
        for seen in worker.observe(case):
            key = (family(case, seen.check), data, seen.check)
            tallies.setdefault(key, Tally()).add(case, seen)
    return tallies


def without_faultless(tallies: Tallies) -> Tallies:
    """The same, but the checks that found no fault in a family made one row."""
    result: Tallies = {}
    for (name, data, check), tally in tallies.items():
        key = (name, data, check) if tally.worst else (name, data, "others")
        merged = result.setdefault(key, tally if tally.worst else Tally())
        if not tally.worst:
            merged.counts += tally.counts
    return result


def table(tallies: Tallies, title: str) -> Table:
    result = Table(title=title)
    for name in ("shapes", "data", "check"):
        result.add_column(name)
    outcomes = ("right", "wrong", "crash", "unclear", "refused")
    for name in (*outcomes, "worst, quanta", "wrong outputs"):
        result.add_column(name, justify="right")
    result.add_column("example", max_width=60)
    order = {name: index for index, (name, _) in enumerate(FAMILIES)}
    rows = without_faultless(tallies)
    for key in sorted(rows, key=lambda key: (order[key[0]], *key)):
        tally = rows[key]
        worst = tally.worst
        result.add_row(
            *key,
            *(str(tally.counts.get(name, "")) for name in outcomes),
            str(worst.worst) if worst else "",
            f"{worst.fraction:.0%}" if worst else "",
            tally.example.settings() if tally.example else "",
            style="red" if worst else None,
        )
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", default="fbgemm", help="fbgemm, qnnpack, onednn or x86")
    parser.add_argument("--cases", type=int, default=1000, help="random cases beside the table")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first random case")
    parser.add_argument("--threads", type=int, default=1, help="intra-op threads")
    parser.add_argument("--isa", help="cap of FBGEMM's instruction set, such as AVX2 or AVX512")
    parser.add_argument(
        "--check-heap", action="store_true", help="abort where memory is overrun (glibc only)"
    )
    parser.add_argument("--width", type=int, help="columns of the table, when not a terminal")
    arguments = parser.parse_args()
    if arguments.isa:
        os.environ["FBGEMM_ENABLE_INSTRUCTIONS"] = arguments.isa
    if arguments.check_heap:
        os.environ["LD_PRELOAD"] = "libc_malloc_debug.so.0"
        os.environ["GLIBC_TUNABLES"] = "glibc.malloc.check=3"
    warnings.simplefilter("ignore")
    seeds = range(arguments.seed, arguments.seed + arguments.cases)
    cases = [*CASES, *(special_case(s) if s % 2 else random_case(s) for s in seeds)]
    worker = Worker(arguments.engine, arguments.threads)
    tallies = sweep(cases, worker)
    worker.close()
    title = (
        f"{arguments.engine}, torch {torch.__version__}, {platform.machine()}, "
        f"{torch.backends.cpu.get_cpu_capability()}, {arguments.threads} threads, "
        f"{arguments.isa or 'any'} instructions, {len(cases)} cases from seed {arguments.seed}"
    )
    Console(width=arguments.width).print(table(tallies, title))


if __name__ == "__main__":
    main()
