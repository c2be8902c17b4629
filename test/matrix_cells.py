"""Cells of the tables in docs/feature_matrix.md: written, counted and read back."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from feature_matrix import PAGE
from features import Outcome

REASON = re.compile(r"\((?:\w+: )?(.*)\); engines that can")
# PyTorch's qnnpack tells what it read beyond the end of its scales.
SCALE = re.compile(r"(?<=requantization scale): \S+(?=: )")
STATUSES = ("right", "wrong", "dies", "refuses", "no op")
LOUD = ("wrong", "dies")

# What a row and a column hold.
Table = dict[tuple[str, str], str]


def reason(refusal: str) -> str:
    """An engine's own words out of the error that a caller sees."""
    found = REASON.search(refusal)
    return found.group(1) if found else SCALE.sub("", refusal)


def letters(ours: Iterable[str], stock: Iterable[str] = ()) -> dict[str, str]:
    """A letter for each reason; those of this package's engines don't depend on PyTorch's."""
    first = sorted(set(ours))
    others = sorted(set(stock) - set(first))
    return dict(zip([*first, *others], "abcdefghijklmnop", strict=False))


def digits(outcomes: list[Outcome], by_reason: Mapping[str, str]) -> str:
    """For each number of dimensions the largest difference, bold where it is wrong, or a letter."""
    return " ".join(
        "dies"
        if o.status == "dies"
        else f"**{o.worst}**"
        if o.status == "wrong"
        else by_reason[reason(o.refusal)]
        if o.refusal
        else str(o.worst)
        for o in outcomes
    )


def status(outcome: Outcome) -> str:
    missing = outcome.status == "refuses" and str(outcome.refusal).startswith("there is no ")
    return "no op" if missing else outcome.status


def words(outcomes: list[Outcome]) -> str:
    """As "1-D, 3-D right; 2-D **wrong** 209"; one word where all are alike."""
    parts = []
    for name in STATUSES:
        dims = [i + 1 for i, outcome in enumerate(outcomes) if status(outcome) == name]
        if not dims:
            continue
        text = f"**{name}**" if name in LOUD else name
        worst = [str(outcomes[d - 1].worst) for d in dims]
        if name == "wrong" and any(w != "0" for w in worst):
            text += f" {', '.join(worst)}"
        parts.append(
            text if len(dims) == len(outcomes) else f"{', '.join(f'{d}-D' for d in dims)} {text}"
        )
    return "; ".join(parts)


def counted(outcomes: Iterable[Outcome], always: bool = False) -> str:
    """As "12 **wrong**, 6 right"; one word where all are alike, unless `always`."""
    counts = Counter(status(outcome) for outcome in outcomes)
    texts = {name: f"**{name}**" if name in LOUD else name for name in STATUSES}
    if len(counts) == 1 and not always:
        return texts[next(iter(counts))]
    return ", ".join(f"{counts[name]} {texts[name]}" for name in STATUSES if counts[name])


def read_tables() -> dict[str, Table]:
    """The tables of the page as it is, by their headings."""
    tables: dict[str, Table] = {}
    for part in PAGE.read_text().split("\n## ")[1:]:
        heading = part.partition("\n")[0]
        rows = [
            [cell.strip() for cell in line.strip("|").split("|")]
            for line in part.splitlines()
            if line.startswith("|")
        ]
        tables[heading] = {
            (row[0], name): cell
            for row in rows[2:]
            for name, cell in zip(rows[0][1:], row[1:], strict=True)
        }
    return tables


def read_statuses(cell: str) -> list[str]:
    """Of a cell that `digits` wrote."""
    marks = {"*": "wrong", "d": "dies"}
    return [
        "right" if entry.isdigit() else "refuses" if len(entry) == 1 else marks[entry[0]]
        for entry in cell.split()
    ]
