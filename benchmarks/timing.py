"""Interleaved timing of contestants in one process.

A block is a number of runs of one contestant, back to back and warm. A round times one block of
each contestant, so that whatever disturbs or slows the machine hits all of them; figures are
medians over the rounds, and ratios are taken within each round before their median is.
"""

from __future__ import annotations

import gc
import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat
from time import perf_counter_ns
from typing import Any, Protocol


class Contestant(Protocol):
    """Something that is timed."""

    def time_block(self, repetitions: int) -> float:
        """Run so often, warmed up; return microseconds per run."""


@dataclass(frozen=True)
class Sampling:
    """How long to measure: rounds, and how long the block of each contestant lasts in each."""

    rounds: int
    block_microseconds: float
    max_repetitions: int = 10_000


FULL = Sampling(rounds=15, block_microseconds=2000)
QUICK = Sampling(rounds=3, block_microseconds=300)


@dataclass(frozen=True)
class Spread:
    """Median and quartiles."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high)


def time_calls(function: Callable[..., Any], arguments: tuple[Any, ...], repetitions: int) -> float:
    """Microseconds per `function(*arguments)`; results are freed at once, as a network's are."""
    if len(arguments) == 4:  # as run ops have; without the cost of unpacking a tuple
        a, b, c, d = arguments
        start = perf_counter_ns()
        for _ in repeat(None, repetitions):
            function(a, b, c, d)
    else:
        start = perf_counter_ns()
        for _ in repeat(None, repetitions):
            function(*arguments)
    return (perf_counter_ns() - start) / repetitions / 1000


@dataclass(frozen=True)
class Call:
    """A contestant that is a function with its arguments."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]

    def time_block(self, repetitions: int) -> float:
        # The contestant before left its own data in the caches.
        for _ in range(max(1, min(repetitions // 10, 20))):
            self.function(*self.arguments)
        return time_calls(self.function, self.arguments, repetitions)


def interleaved(
    contestants: Mapping[str, Contestant], sampling: Sampling
) -> dict[str, list[float]]:
    """Microseconds per run by contestant and round."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    repetitions = {name: _repetitions(c, sampling) for name, c in contestants.items()}
    order = list(contestants)
    with _no_garbage_collection():
        for _ in range(sampling.rounds):
            for name in order:
                times[name].append(contestants[name].time_block(repetitions[name]))
            # Another neighbour in the next round: what runs before may slow what runs after.
            order.append(order.pop(0))
    return times


def ratios(times: Mapping[str, Sequence[float]], subject: str) -> dict[str, Spread]:
    """How many times longer than the subject each other contestant took, round by round."""
    return {
        name: Spread.of([a / b for a, b in zip(values, times[subject], strict=True)])
        for name, values in times.items()
        if name != subject
    }


def _repetitions(contestant: Contestant, sampling: Sampling) -> int:
    contestant.time_block(1)  # a first run may set things up
    estimate = min(contestant.time_block(2) for _ in range(2))
    wanted = math.ceil(sampling.block_microseconds / max(estimate, 0.01))
    return max(1, min(wanted, sampling.max_repetitions))


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
