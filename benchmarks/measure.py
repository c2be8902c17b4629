"""Times the layers of suites and returns all figures in values that JSON has.

The result has "format", "command", "settings", "facts" and "bandwidth_gb_s" (machine.py), "peak"
(peaks.py), and "suites": by suite "layers" or "prepack", a list of records (`_layer_record` and
prepack.py), and a summary of them (summary.py).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import suites
import torch
from contestants import make_runners
from machine import bandwidths, facts
from peaks import best_instruction_set, peak_gops
from problem import Reference, make_problem
from summary import prepack_summary, summary
from timing import Sampling, Spread, interleaved, ratios

from torch_qconv_prepack.info.cpu import cpu_features

FORMAT = 1
SUBJECT = "ours"


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is measured; peers by the names in contestants.PEERS, layers as a regular expression."""

    suites: list[str]
    engine: str
    peers: list[str]
    layers: str
    threads: int
    batch: int
    input_zero_point: int
    isa: str | None
    prepack: bool
    sampling: Sampling


Progress = Callable[[str], None]


def run(settings: Settings, command: list[str], progress: Progress) -> dict[str, Any]:
    torch.set_num_threads(settings.threads)
    result: dict[str, Any] = {
        "format": FORMAT,
        "command": command,
        "settings": dataclasses.asdict(settings),
        "facts": facts(),
        "bandwidth_gb_s": bandwidths(),
        "peak": _peak(settings),
        "suites": {},
    }
    for suite in settings.suites:
        layers = suites.load(suite, settings.layers)
        if not layers:
            continue
        measured: dict[str, Any] = {}
        if settings.prepack:
            from prepack import prepack_records

            measured["prepack"] = prepack_records(layers, settings, progress)
            measured["prepack_summary"] = prepack_summary(measured["prepack"])
        else:
            records = []
            for layer in layers:
                progress(f"{suite}: {layer.name}")
                records.append(_layer_record(layer, settings))
            measured["layers"] = records
            measured["summary"] = summary(records)
        result["suites"][suite] = measured
    return result


def _peak(settings: Settings) -> dict[str, Any]:
    """What the cores used could do at most, held to the instruction set."""
    features = cpu_features()
    name = settings.isa or best_instruction_set(features)
    gops = peak_gops(name, features)
    return {"instruction_set": name, "gops": gops and gops * settings.threads}


def _layer_record(layer: suites.Layer, settings: Settings) -> dict[str, Any]:
    """The layer's shape, and by contestant: microseconds, GOPS, error, kernel, ratio to ours."""
    problem = make_problem(layer, settings.batch, settings.input_zero_point)
    reference = Reference(problem)
    runners, refusals = make_runners(problem, settings.engine, settings.peers, settings.threads)
    errors = {name: reference.error(runner.output()) for name, runner in runners.items()}
    times = interleaved(runners, settings.sampling)
    ratio = ratios(times, SUBJECT)
    multiply_adds = layer.multiply_adds(settings.batch)
    contestants: dict[str, Any] = {}
    for name, rounds in times.items():
        spread = Spread.of(rounds)
        contestants[name] = {
            "microseconds": rounded(spread),
            "gops": round(2 * multiply_adds / spread.median / 1000, 2),
            "error": dataclasses.asdict(errors[name]),
            "kernel": runners[name].kernel(),
            "rounds": [round(value, 3) for value in rounds],
        }
        if name in ratio:
            contestants[name]["ratio"] = rounded(ratio[name])
    return {
        "name": layer.name,
        **dataclasses.asdict(layer),
        "multiply_adds": multiply_adds,
        "weight_bytes": layer.weight_bytes,
        "bytes_moved": layer.bytes_moved(settings.batch),
        "contestants": contestants,
        "refusals": refusals,
    }


def rounded(spread: Spread) -> dict[str, float]:
    return {key: round(value, 4) for key, value in dataclasses.asdict(spread).items()}
