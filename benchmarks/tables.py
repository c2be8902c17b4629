"""Tables of the figures, for the terminal and as Markdown. Takes results as JSON has them and
imports no torch."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import rich.box
from rich.console import Console
from rich.table import Table
from summary import LARGE_MULTIPLY_ADDS, Records, peers_of, scaling_summary

PEER_HEAD = "ratio, µs, error"
HOW_TO_READ = (
    "Microseconds are medians of rounds, ± half their interquartile range. A peer's cell: how many "
    "times longer than ours it took, its microseconds, and its error: the largest difference from "
    "the float64 reference in quanta."
)


@dataclass
class Rows:
    """A table: cells of text, and lines that sum it up."""

    title: str
    head: list[str]
    body: list[list[str]] = field(default_factory=list)
    foot: list[list[str]] = field(default_factory=list)

    def print(self, console: Console) -> None:
        table = Table(title=self.title, title_justify="left", box=rich.box.SIMPLE_HEAD)
        for index, name in enumerate(self.head):
            table.add_column(name, justify="right" if index else "left", no_wrap=True)
        for row in self.body:
            table.add_row(*row)
        table.add_section()
        for row in self.foot:
            table.add_row(*row)
        console.print(table)

    def markdown(self) -> str:
        rows = [self.head, ["---", *["---:"] * (len(self.head) - 1)], *self.body, *self.foot]
        return "".join("| " + " | ".join(row).replace("\n", " ") + " |\n" for row in rows)


def layer_table(suite: str, measured: dict[str, Any]) -> Rows:
    records: Records = measured["layers"]
    peers = peers_of(records)
    rows = Rows(
        suite,
        [
            "layer",
            "times",
            "MMAC",
            "ours µs",
            "GOPS",
            "error",
            *(f"{peer}\n{PEER_HEAD}" for peer in peers),
        ],
    )
    for record in records:
        ours = record["contestants"]["ours"]
        rows.body.append(
            [
                record["name"],
                str(record["count"]),
                f"{record['multiply_adds'] / 1e6:.1f}",
                f"{_number(ours['microseconds']['median'])} ±{_half(ours['microseconds'])}",
                f"{ours['gops']:.0f}",
                str(ours["error"]["largest"]),
                *(_peer_cell(record, peer) for peer in peers),
            ]
        )
    found = measured["summary"]
    sums = {
        "geometric mean": lambda s: f"{s['geometric_mean']:.2f}",
        "worst": lambda s: f"{s['worst']:.2f}",
        "network, ms": lambda s: f"{s['network_microseconds'] / 1000:.2f}",
        "ours on the same layers, ms": lambda s: f"{s['our_network_microseconds'] / 1000:.2f}",
    }
    for title, cell in sums.items():
        cells = [cell(found[peer]) if peer in found else "" for peer in peers]
        rows.foot.append([title, *[""] * 5, *cells])
    return rows


def prepack_table(suite: str, measured: dict[str, Any]) -> Rows:
    records: Records = measured["prepack"]
    names = ["ours", *peers_of(records)]
    head = ["layer", "KB", "ours GB/s", *(f"{name}\nreused / fresh µs" for name in names)]
    rows = Rows(f"{suite}: packing", head)
    for record in records:
        cells = []
        for name in names:
            figures = record["contestants"][name]
            times = [figures[memory]["microseconds"]["median"] for memory in ("reused", "fresh")]
            cells.append(" / ".join(map(_number, times)))
        speed = record["contestants"]["ours"]["gb_s"]
        rows.body.append(
            [record["name"], f"{record['weight_bytes'] / 1000:.0f}", f"{speed:.2f}", *cells]
        )
    return rows


def op_cost_table(result: dict[str, Any]) -> Rows:
    rows = Rows("cost of an op", ["op", "µs", "beyond relu, µs"])
    for name, found in result["ops"].items():
        times = found["microseconds"]
        rows.body.append(
            [
                name,
                f"{times['median']:.2f} ±{(times['high'] - times['low']) / 2:.2f}",
                f"{found['beyond_relu']['median']:.2f}",
            ]
        )
    return rows


def scaling_tables(result: dict[str, Any]) -> list[Rows]:
    """Of scaling.py: one thread's time / that of several, a table for each suite."""
    counts = [str(n) for n in result["settings"]["threads"]]
    several = [n for n in counts if n != "1"]
    found = []
    for suite, records in result["scaling"].items():
        title = f"{suite}, batch {result['settings']['batch']}: several threads against one"
        rows = Rows(title, ["layer", "M", "1 thread, µs", *(f"{n} threads" for n in several)])
        for record in records:
            threads = record["threads"]
            rows.body.append(
                [
                    record["name"],
                    f"{record['multiply_adds'] / 1e6:.1f}",
                    f"{threads['1']['microseconds']['median']:.1f}",
                    *(f"{threads[n]['speedup']['median']:.2f}" for n in several),
                ]
            )
        sums = [scaling_summary(records, n) for n in several]
        large = f"over {LARGE_MULTIPLY_ADDS // 10**6} M"
        rows.foot = [
            ["geometric mean", "", "", *(f"{s['geometric_mean']:.2f}" for s in sums)],
            [large, "", "", *(f"{s['large']:.2f}" if s["large"] else "-" for s in sums)],
            ["worst", "", "", *(f"{s['worst']:.2f}" for s in sums)],
        ]
        found.append(rows)
    return found


def tables(suite: str, measured: dict[str, Any]) -> list[Rows]:
    if "prepack" in measured:
        return [prepack_table(suite, measured), packing_ratio_table(suite, measured)]
    return [layer_table(suite, measured)]


def lines(suite: str, measured: dict[str, Any]) -> list[str]:
    """What the tables come to, in words."""
    if "prepack" in measured:
        return list(packing_lines(suite, measured))
    return [*summary_lines(suite, measured), *refusal_lines(suite, measured)]


def summary_lines(suite: str, measured: dict[str, Any]) -> Iterator[str]:
    for peer, found in measured["summary"].items():
        below = found["below_1"]
        yield (
            f"{suite}, {peer}: geometric mean {found['geometric_mean']:.2f} over {found['layers']} "
            f"layers, worst {found['worst']:.2f} at {found['worst_layer']}, "
            f"{len(below)} below 1, largest error {found['largest_error']}"
        )


def packing_lines(suite: str, measured: dict[str, Any]) -> Iterator[str]:
    for kernel, found in measured["prepack_summary"]["gb_s"].items():
        yield (
            f"{suite}, packing, ours, {kernel} weights of 100 KB and more into reused memory: "
            f"median {found['median']:.2f} GB/s, lowest {found['lowest']:.2f}"
        )


def packing_ratio_table(suite: str, measured: dict[str, Any]) -> Rows:
    """A line for each other engine: its time / ours, as geometric mean and worst."""
    ratios = measured["prepack_summary"]["ratios"]
    kinds = list(dict.fromkeys(kind for by_kind in ratios.values() for kind in by_kind))
    rows = Rows(f"{suite}: packing, time / ours, geometric mean (worst)", ["engine", *kinds])
    for peer, by_kind in ratios.items():
        cells = [f"{by_kind[k]['geometric_mean']:.2f} ({by_kind[k]['worst']:.2f})" for k in kinds]
        rows.body.append([peer, *cells])
    return rows


def refusal_lines(suite: str, measured: dict[str, Any]) -> Iterator[str]:
    names: dict[tuple[str, str], list[str]] = {}
    for record in measured["layers"]:
        for refusal in record["refusals"].items():
            names.setdefault(refusal, []).append(record["name"])
    for (peer, reason), layers in names.items():
        which = layers[0] if len(layers) == 1 else f"{len(layers)} layers"
        yield f"{suite}, {which}: no figure for {peer}: {reason}"


def fact_lines(result: dict[str, Any]) -> list[str]:
    """Machine, versions, settings, as a heading needs them."""
    facts, settings = result["facts"], result["settings"]
    machine = facts["machine"]
    features = [name for name, has in machine["cpu_features"].items() if has]
    engines = [
        " ".join(filter(None, (e["name"], e["version"], e["instruction_set"])))
        for e in facts["engines"]
        if e["kind"] == "engine" and e["available"]
    ]
    variables = [f"{name}={value}" for name, value in facts["environment"].items() if value]
    return [
        f"{facts['date']}, {machine['cpu']}, {facts['threads']['usable_cores']} cores usable, "
        f"load {machine['load']}, has {' '.join(features)}",
        "versions: " + ", ".join(f"{k} {v}" for k, v in facts["versions"].items() if v),
        f"engines: {', '.join(engines)}",
        f"settings: engine {settings['engine']}, threads {settings['threads']}, "
        f"batch {settings['batch']}, held to {settings['isa'] or 'nothing'}, "
        f"{settings['sampling']['rounds']} rounds; {' '.join(variables) or 'no variables set'}",
    ]


def _peer_cell(record: dict[str, Any], peer: str) -> str:
    if peer not in record["contestants"]:
        return "none"
    found = record["contestants"][peer]
    ratio, times = found["ratio"], found["microseconds"]
    error = found["error"]["largest"]
    return (
        f"{ratio['median']:.2f} ±{(ratio['high'] - ratio['low']) / 2:.2f} "
        f"{_number(times['median']):>5} {error:3}"
    )


def _half(spread: dict[str, float]) -> str:
    return _number((spread["high"] - spread["low"]) / 2)


def _number(value: float) -> str:
    """Three digits that count, or whole numbers."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def epilogue_table(what: str, records: list[dict[str, Any]]) -> Rows:
    """What epilogues.py measured: the first column is what the others' times are ratios to."""
    others = list(records[0]["ratios"]) if records else []
    subject = next((n for r in records for n in r["microseconds"] if n not in others), "")
    rows = Rows(what, ["layer", f"{subject} µs", *(f"{name}\nratio, µs" for name in others)])
    for record in records:
        times = record["microseconds"]
        rows.body.append(
            [
                record["layer"],
                f"{times[subject]['median']:.1f}",
                *(
                    f"{record['ratios'][name]['median']:.2f} {times[name]['median']:8.1f}"
                    for name in others
                ),
            ]
        )
    if records:
        means = [
            statistics.geometric_mean(r["ratios"][name]["median"] for r in records)
            for name in others
        ]
        rows.foot.append(["geometric mean", "", *(f"{mean:.2f}{' ' * 9}" for mean in means)])
    return rows
