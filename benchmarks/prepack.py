"""Times packing of a suite's weights, by this package's engines and PyTorch's.

Each is timed into reused memory, where the result of the last call has been freed, so that the
allocator hands its memory out again, and into fresh memory, where results are kept and the
operating system has to supply pages, as in loading a model. qnnpack packs at the first run: its
prepack ops only copy, and aren't comparable.
"""

from __future__ import annotations

import ctypes
import dataclasses
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

import torch
from problem import Problem, make_problem
from suites import Layer
from timing import Contestant, Sampling, Spread, interleaved, ratios

import torch_qconv_prepack as qconv

if TYPE_CHECKING:
    from measure import Progress, Settings

STOCK_ENGINES = ("x86", "onednn", "fbgemm", "qnnpack")
KEPT_BYTES = 32 << 20  # results kept in a block of fresh memory, at one byte a weight


class Packer:
    def __init__(self, problem: Problem, engine: str, ours: bool, fresh: bool) -> None:
        namespace = torch.ops.torch_qconv_prepack if ours else torch.ops.quantized
        self._prepack = getattr(namespace, f"{problem.layer.op}_prepack")
        self._arguments = problem.pack_arguments
        self._keywords = {"engine": engine} if ours else {}
        self._stock_engine = None if ours else engine
        self._fresh = fresh
        self._kept = max(1, KEPT_BYTES // problem.layer.weight_bytes)

    def time_block(self, repetitions: int) -> float:
        if self._stock_engine:
            torch.backends.quantized.engine = self._stock_engine
        prepack, arguments, keywords = self._prepack, self._arguments, self._keywords
        prepack(*arguments, **keywords)
        kept: list[Any] = []
        if self._fresh:
            repetitions = min(repetitions, self._kept)
            _give_memory_back()
        start = perf_counter_ns()
        if self._fresh:
            for _ in range(repetitions):
                kept.append(prepack(*arguments, **keywords))
        else:
            for _ in range(repetitions):
                prepack(*arguments, **keywords)
        return (perf_counter_ns() - start) / repetitions / 1000


def prepack_records(
    layers: list[Layer], settings: Settings, progress: Progress
) -> list[dict[str, Any]]:
    """By layer and contestant: microseconds reused and fresh with ratios to ours, GB/s reused."""
    sampling = dataclasses.replace(settings.sampling, rounds=min(settings.sampling.rounds, 7))
    records = []
    for layer in layers:
        progress(f"prepack: {layer.name}")
        records.append(_record(make_problem(layer), settings.engine, sampling))
    return records


def _packers(problem: Problem, engine: str) -> dict[str, tuple[str, bool]]:
    others = [
        record.name
        for record in qconv.engines()
        if record.kind == "engine" and record.available and record.name != engine
    ]
    return {
        "ours": (engine, True),
        **{f"our {name}": (name, True) for name in others},
        **{f"stock {name}": (name, False) for name in STOCK_ENGINES},
    }


def _record(problem: Problem, engine: str, sampling: Sampling) -> dict[str, Any]:
    layer = problem.layer
    contestants: dict[str, dict[str, Any]] = {}
    for memory in ("reused", "fresh"):
        runners: dict[str, Contestant] = {
            name: Packer(problem, which, ours, fresh=memory == "fresh")
            for name, (which, ours) in _packers(problem, engine).items()
        }
        times = interleaved(runners, sampling)
        ratio = ratios(times, "ours")
        for name, rounds in times.items():
            figures = dataclasses.asdict(Spread.of(rounds))
            record = contestants.setdefault(name, {})
            record[memory] = {"microseconds": {k: round(v, 3) for k, v in figures.items()}}
            if name in ratio:
                found = dataclasses.asdict(ratio[name])
                record[memory]["ratio"] = {k: round(v, 4) for k, v in found.items()}
            if memory == "reused":
                record["gb_s"] = round(layer.weight_bytes / figures["median"] / 1000, 3)
    return {
        "name": layer.name,
        **dataclasses.asdict(layer),
        "weight_bytes": layer.weight_bytes,
        "contestants": contestants,
    }


def _give_memory_back() -> None:
    """Let glibc return what was freed to the operating system; elsewhere nothing happens."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
