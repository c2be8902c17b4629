"""Finds the shapes for which PyTorch's own quantized convolution engines are wrong.

    python benchmarks/stock_faults.py --engine fbgemm --cases 5000 --seed 0

Every case runs in another process, against the float64 reference of test/reference.py. A process
that dies is replaced, and the case tried once more alone. Each case is checked four ways:
run: the op itself; relu: the fused ReLU (forward only); again: the same packed object with an
input of another size and zero point; unpack: the weight comes back as it went in.
"""

import argparse
import os
import platform
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "test"))

import torch
from cases import CASES
from child import Child, Death, check_heap
from comparison import compare
from conv_case import ConvCase, ConvData
from op_calls import Ops
from random_cases import random_case, special_case
from rich.console import Console
from rich.progress import track
from rich.table import Table
from shape_families import FAMILIES, family

STOCK = Ops("quantized", "of the process")


@dataclass(frozen=True)
class Observation:
    """One check of one case. error: why it was refused, or how the process died."""

    check: str
    outcome: str
    worst: int = 0
    fraction: float = 0.0
    error: str = ""


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
    return _compared("again", STOCK.run(again, packed), again)


def _unpacked(data: ConvData, packed: Any) -> Observation:
    weight = STOCK.call(data, "_unpack", packed)[0]
    same = weight.int_repr() == data.weight.int_repr()
    fraction = float((~same).double().mean())
    return Observation("unpack", "right" if same.all() else "wrong", fraction=fraction)


def observe(case: ConvCase) -> Iterator[Observation]:
    """All checks of a case; a refusal is an observation too."""
    data = case.data()
    try:
        packed = STOCK.pack(data)
    except (RuntimeError, ValueError, NotImplementedError) as error:
        yield Observation("prepack", "refused", error=str(error).splitlines()[0])
        return
    checks: list[tuple[str, Callable[[], Observation]]] = [
        ("run", lambda: _compared("run", STOCK.run(data, packed), data)),
        ("again", lambda: _again(case, data, packed)),
        ("unpack", lambda: _unpacked(data, packed)),
    ]
    if not case.transposed:
        relu = lambda: _compared(  # noqa: E731
            "relu", STOCK.run(data, packed, "_relu"), data, relu=True
        )
        checks.insert(1, ("relu", relu))
    for name, check in checks:
        try:
            yield check()
        except RuntimeError as error:
            yield Observation(name, "refused", error=str(error).splitlines()[0])


def answer(case: ConvCase) -> list[Observation]:
    return list(observe(case))


def observe_in(child: Child, case: ConvCase) -> list[Observation]:
    """The case's observations in another process, which may die of it."""
    first = child.ask(case)
    if not isinstance(first, Death):
        return first
    second = child.ask(case)
    if isinstance(second, Death):
        return [Observation("process", "crash", error=second.reason)]
    # Only memory broken by an earlier case explains it, or luck.
    return [Observation("process", "unclear", error=first.reason), *second]


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


def sweep(cases: list[ConvCase], child: Child) -> Tallies:
    tallies: Tallies = {}
    for case in track(cases, description="cases", console=Console(stderr=True)):
        data = "full" if case.full_range else "moderate"
        for seen in observe_in(child, case):
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
        check_heap()
    warnings.simplefilter("ignore")
    seeds = range(arguments.seed, arguments.seed + arguments.cases)
    cases = [*CASES, *(special_case(s) if s % 2 else random_case(s) for s in seeds)]
    child = Child(answer, arguments.engine, arguments.threads)
    tallies = sweep(cases, child)
    child.close()
    title = (
        f"{arguments.engine}, torch {torch.__version__}, {platform.machine()}, "
        f"{torch.backends.cpu.get_cpu_capability()}, {arguments.threads} threads, "
        f"{arguments.isa or 'any'} instructions, {len(cases)} cases from seed {arguments.seed}"
    )
    Console(width=arguments.width).print(table(tallies, title))


if __name__ == "__main__":
    main()
