"""The feature matrix as a page of the docs."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable

from feature_matrix import PAGE, Matrix, Outcome, all_features, engines, run_all

HEAD = """\
# What runs where

Made by `make matrix`, which runs every op on every row and holds it to the float64 reference;
`test/test_feature_matrix.py` does the same and holds this page to what it finds.

Each cell has an entry for 1-D, 2-D and 3-D: the largest difference from the reference in quanta,
over runs with and without bias of the plain op, `_relu`, `_add` and `_add_relu`, and `_dynamic`
within float32's rounding; or a letter where the engine refuses. Differences of 1 are roundings of
values that lie nearer to a tie than float32 resolves; qnnpack's are from its own reference, whose
bias is rounded to whole units. Activations and weights take their full range, strides are 2,
paddings 1, kernels 3x2x3.

"""

REASON = re.compile(r"\((?:\w+: )?(.*)\); engines that can")


def reason(refusal: str) -> str:
    """An engine's own words out of the error that a caller sees."""
    found = REASON.search(refusal)
    return found.group(1) if found else refusal


def letters(reasons: Iterable[str]) -> dict[str, str]:
    return dict(zip(sorted(set(reasons)), "abcdefghij", strict=False))


def cell(outcomes: list[Outcome], by_reason: dict[str, str]) -> str:
    return " ".join(
        by_reason[reason(o.refusal)] if o.refusal else "wrong" if o.wrong else str(o.worst)
        for o in outcomes
    )


def statuses(matrix: Matrix) -> dict[tuple[str, str], str]:
    """What the page must say of a row and engine, the differences left out."""
    by_reason = letters(reason(o.refusal) for os in matrix.values() for o in os if o.refusal)
    return {
        (features.name, engine): re.sub(r"\d+", "n", cell(outcomes, by_reason))
        for (features, engine), outcomes in matrix.items()
    }


def page(matrix: Matrix) -> str:
    names = [engine.name for engine in engines()]
    by_reason = letters(reason(o.refusal) for os in matrix.values() for o in os if o.refusal)
    lines = [f"| features | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    for features in all_features():
        cells = [cell(matrix[features, name], by_reason) for name in names]
        lines.append(f"| {features.name} | {' | '.join(cells)} |")
    lines += ["", *(f"- {letter}: {text}" for text, letter in by_reason.items())]
    return HEAD + "\n".join(lines) + "\n"


def read_page() -> dict[tuple[str, str], str]:
    """The statuses on the page as it is."""
    table = [
        line.strip("| \n").split(" | ") for line in PAGE.read_text().splitlines() if "|" in line
    ]
    names = table[0][1:]
    return {
        (row[0], name): re.sub(r"\d+", "n", text)
        for row in table[2:]
        for name, text in zip(names, row[1:], strict=True)
    }


if __name__ == "__main__":
    PAGE.write_text(page(run_all()))
    print(PAGE, file=sys.stderr)
