"""The tables of docs/feature_matrix.md, row by row. Needs PyTorch alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from data_rows import data_rows
from features import Row, all_features, shape_row
from network_rows import network_rows
from op_rows import op_rows
from plain_rows import plain_rows

# PyTorch's engines, its default first.
STOCK_ENGINES = ("x86", "onednn", "fbgemm", "qnnpack")


@dataclass(frozen=True)
class Section:
    """A table. engines: those of PyTorch's that run it."""

    rows: dict[str, Row]
    engines: tuple[str, ...] = STOCK_ENGINES


def section(rows: Iterable[Row], engines: tuple[str, ...] = STOCK_ENGINES) -> Section:
    return Section({row.name: row for row in rows}, engines)


SECTIONS = {
    "shapes": section(map(shape_row, all_features())),
    "ops": section(op_rows()),
    "data": section(data_rows()),
    "networks": section(network_rows()),
    # These ops are oneDNN's, whatever the engine is.
    "plain": section(plain_rows(), ("onednn",)),
}
