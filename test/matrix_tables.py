"""The tables of docs/feature_matrix.md."""

from __future__ import annotations

from collections.abc import Iterable

from feature_matrix import Matrix, engines
from features import Features, Outcome, all_features
from matrix_cells import counted, digits, letters, reason, words
from matrix_rows import SECTIONS, STOCK_ENGINES

# Of each section of matrix_rows.py.
HEADINGS = {
    "ops": "Ops and activations",
    "data": "Unusual data, several runs, mistakes",
    "networks": "Shapes with kernels of their own",
    "plain": "Ops on plain tensors",
    "shapes": "Shapes and weights",
}
# A column of the short table: fbgemm held to AVX2 stands for x86 on a CPU without VNNI.
WITHOUT_VNNI = "fbgemm, AVX2"
SHORT_COLUMNS = (*STOCK_ENGINES, WITHOUT_VNNI)

# Outcomes of PyTorch's in 1-D, 2-D and 3-D by section, row and engine or WITHOUT_VNNI.
Stock = dict[tuple[str, str, str], list[Outcome]]


def table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    names = list(columns)
    lines = [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"


def stock_columns(names: Iterable[str]) -> list[str]:
    return [f"PyTorch {name}" for name in names]


def group(features: Features) -> str:
    """The row of the short table that a row belongs to."""
    if not features.transposed:
        return "forward, weight zero points" if features.zero_points else "forward"
    if features.per_channel:
        return "transposed, per channel"
    if features.zero_points:
        return "transposed, per tensor, weight zero points"
    padded = ", output padding" if features.output_padding else ""
    return f"transposed, per tensor{padded}"


def short_table(native: dict[str, dict[str, list[Outcome]]], stock: Stock) -> str:
    """The rows of every section but "plain", counted."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for features in all_features():
        groups.setdefault(group(features), []).append(("shapes", features.name))
    for section in ("networks", "ops", "data"):
        groups[HEADINGS[section].lower()] = [(section, row) for row in SECTIONS[section].rows]
    groups["all of these"] = [key for keys in groups.values() for key in keys]
    rows = []
    for name, keys in groups.items():
        total = name == "all of these"
        ours = [o for section, row in keys for o in native[section][row]]
        theirs = [
            [o for section, row in keys for o in stock[section, row, engine]]
            for engine in SHORT_COLUMNS
        ]
        rows.append([name, str(len(ours)), *(counted(os, total) for os in (ours, *theirs))])
    return table(["rows", "runs", "native", *stock_columns(SHORT_COLUMNS)], rows)


def section_table(section: str, native: dict[str, list[Outcome]], stock: Stock) -> str:
    names = SECTIONS[section].engines
    columns = ["row", "native", *(stock_columns(names) if len(names) > 1 else ["PyTorch"])]
    rows = (
        [row, words(native[row]), *(words(stock[section, row, engine]) for engine in names)]
        for row in SECTIONS[section].rows
    )
    return table(columns, rows)


def refusals(outcomes: Iterable[list[Outcome]]) -> list[str]:
    return [reason(o.refusal) for os in outcomes for o in os if o.refusal]


def our_cells(matrix: Matrix) -> dict[tuple[str, str], str]:
    """The shapes' cells of this package's engines."""
    by_reason = letters(refusals(matrix.values()))
    return {(f.name, engine): digits(os, by_reason) for (f, engine), os in matrix.items()}


def shapes_table(matrix: Matrix, stock: Stock) -> str:
    theirs = {key: os for key, os in stock.items() if key[0] == "shapes"}
    by_reason = letters(refusals(matrix.values()), refusals(theirs.values()))
    cells = our_cells(matrix)
    names = [engine.name for engine in engines()]
    rows = (
        [
            f.name,
            *(cells[f.name, name] for name in names),
            *(digits(theirs["shapes", f.name, engine], by_reason) for engine in STOCK_ENGINES),
        ]
        for f in all_features()
    )
    legend = "\n".join(f"- {letter}: {text}" for text, letter in by_reason.items())
    return table(["row", *names, *stock_columns(STOCK_ENGINES)], rows) + "\n" + legend + "\n"
