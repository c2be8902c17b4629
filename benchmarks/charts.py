"""Draws the figures that layers.py wrote: for each suite bars and a roofline plot.

    python benchmarks/charts.py FILE.json... [--out docs/images] [--peers 'stock x86,openvino node']

Bars: by layer, how many times longer than ours each peer took. Roofline: 10^9 operations a second
over operations per byte of input, weight and output, with the lines that bound them: the peak of
the instruction set, measured by peaks.cpp, and the bandwidths of memory and second-level cache,
measured by copying. --peak-gops and --bandwidth replace them; the legend says where a line comes
from.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from summary import Records

mpl.use("svg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Text stays text, and the same figures give the same file.
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "torch_qconv_prepack",
    "font.family": "sans-serif",
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
OURS = "#c0392b"
PEER_COLORS = ("#34495e", "#7f8c8d", "#2980b9", "#16a085", "#8e44ad")

# The first ones present are shown where nobody names any: more bars than these hide one another.
PREFERRED = ("stock x86", "openvino node", "onnxruntime node", "stock onednn", "stock fbgemm")
MAX_BARS = 3
LEVELS = {"l2": "second-level cache", "memory": "memory"}


def bars(title: str, records: Records, peers: Sequence[str]) -> Figure:
    """Ratios by layer, with their quartiles, and a line where a peer is as fast as ours."""
    height = 0.8 / len(peers)
    figure, axes = plt.subplots(figsize=(6.4, 0.9 + len(records) * (0.1 + 0.09 * len(peers))))
    for index, (peer, color) in enumerate(zip(peers, PEER_COLORS, strict=False)):
        taken = [
            (row, r["contestants"][peer]["ratio"])
            for row, r in enumerate(records)
            if peer in r["contestants"]
        ]
        axes.barh(
            [row + (index - (len(peers) - 1) / 2) * height for row, _ in taken],
            [ratio["median"] for _, ratio in taken],
            height,
            xerr=[
                [ratio["median"] - ratio["low"] for _, ratio in taken],
                [ratio["high"] - ratio["median"] for _, ratio in taken],
            ],
            error_kw={"lw": 0.5, "ecolor": "#00000080"},
            color=color,
            label=peer,
        )
    axes.axvline(1, color=OURS, lw=1)
    axes.set_yticks(range(len(records)), [record["name"] for record in records])
    axes.invert_yaxis()
    # One disturbed quartile must not squeeze all bars.
    medians = [
        c["ratio"]["median"] for r in records for n, c in r["contestants"].items() if n in peers
    ]
    axes.set_xlim(0, max(*medians, 1) * 1.1)
    axes.margins(y=0.01)
    axes.set_xlabel("time / our time (line: ours; marks: quartiles)")
    axes.set_title(title, loc="left")
    axes.legend(frameon=False)
    return figure


def roofline(
    title: str,
    records: Records,
    peers: Sequence[str],
    peak: tuple[float, str] | None,
    bandwidths: dict[str, float],
) -> Figure:
    """peak: 10^9 operations a second, and where that is from. bandwidths: GB/s by label."""
    figure, axes = plt.subplots(figsize=(6.4, 4.0))
    for name, color in zip([*peers, "ours"], [*PEER_COLORS[: len(peers)], OURS], strict=True):
        taken = [record for record in records if name in record["contestants"]]
        axes.scatter(
            [_intensity(record) for record in taken],
            [record["contestants"][name]["gops"] for record in taken],
            s=14 if name == "ours" else 9,
            color=color,
            marker="o" if name == "ours" else "x",
            linewidths=0.8,
            label=name,
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    _bounds(axes, peak, bandwidths, [_intensity(record) for record in records])
    axes.set_xlabel("operations per byte of input, weight and output")
    axes.set_ylabel("10^9 operations a second")
    axes.set_title(title, loc="left")
    axes.legend(frameon=False, fontsize=7)
    return figure


def _intensity(record: dict[str, Any]) -> float:
    return 2 * record["multiply_adds"] / record["bytes_moved"]


def _bounds(
    axes: Axes,
    peak: tuple[float, str] | None,
    bandwidths: dict[str, float],
    intensities: Sequence[float],
) -> None:
    left, right = min(intensities) / 1.5, max(intensities) * 1.5
    for (label, bandwidth), style in zip(bandwidths.items(), ("--", ":", "-."), strict=False):
        # Up to where the peak takes over.
        end = min(right, peak[0] / bandwidth) if peak else right
        if end > left:
            ends = [left, end]
            label = f"{label}: {bandwidth:.0f} GB/s"
            axes.plot(ends, [x * bandwidth for x in ends], style, color="#555", lw=0.8, label=label)
    if peak:
        axes.plot(
            [left, right], [peak[0]] * 2, color="#555", lw=0.8, label=f"{peak[1]}: {peak[0]:.0f}"
        )


def draw(
    path: Path,
    out: Path,
    peers: Sequence[str] | None = None,
    peak_gops: float | None = None,
    bandwidth: float | None = None,
) -> list[Path]:
    """The charts of one file, as OUT/NAME_SUITE_bars.svg and _roofline.svg."""
    result = json.loads(path.read_text())
    out.mkdir(parents=True, exist_ok=True)
    files = []
    for suite, measured in result["suites"].items():
        if "layers" not in measured:
            continue
        records = measured["layers"]
        shown = list(peers or _preferred(measured["summary"]))
        title = f"{suite}, {_conditions(result)}"
        figures = {
            "roofline": roofline(
                title, records, shown, _peak(result, peak_gops), _bandwidths(result, bandwidth)
            )
        }
        if shown:
            figures["bars"] = bars(title, records, shown)
        for kind, figure in figures.items():
            file = out / f"{path.stem}_{suite}_{kind}.svg"
            figure.savefig(file, bbox_inches="tight", metadata={"Date": None})
            plt.close(figure)
            files.append(file)
    return files


def _preferred(measured: Iterable[str]) -> list[str]:
    return sorted(measured, key=lambda p: (*PREFERRED, p).index(p))[:MAX_BARS]


def _conditions(result: dict[str, Any]) -> str:
    settings = result["settings"]
    parts = [
        result["facts"]["machine"]["cpu"],
        settings["isa"] and f"held to {settings['isa']}",
        f"{settings['threads']} thread{'s' * (settings['threads'] > 1)}",
        f"batch {settings['batch']}",
    ]
    return ", ".join(filter(None, parts))


def _peak(result: dict[str, Any], given: float | None) -> tuple[float, str] | None:
    if given:
        return given, "peak, as given"
    found = result["peak"]
    return (
        (found["gops"], f"peak of {found['instruction_set']}, measured") if found["gops"] else None
    )


def _bandwidths(result: dict[str, Any], given: float | None) -> dict[str, float]:
    if given:
        return {"bandwidth, as given": given}
    return {
        f"copying in {LEVELS[level]}, measured": value
        for level, value in result["bandwidth_gb_s"].items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs" / "images")
    parser.add_argument(
        "--peers", help="those shown, by their names in the table; default: the first 3"
    )
    parser.add_argument(
        "--peak-gops", type=float, help="draw this peak instead of the measured one"
    )
    parser.add_argument(
        "--bandwidth", type=float, help="draw this, in GB/s, instead of the measured ones"
    )
    options = parser.parse_args()
    peers = options.peers and options.peers.split(",")
    with mpl.rc_context(STYLE):
        for path in options.files:
            for file in draw(path, options.out, peers, options.peak_gops, options.bandwidth):
                print(file)


if __name__ == "__main__":
    main()
