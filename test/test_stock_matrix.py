"""What docs/feature_matrix.md says of PyTorch's ops is so, for rows that are alike on every CPU."""

from __future__ import annotations

import re

import pytest
import torch
from feature_matrix import PAGE
from features import Outcome
from matrix_cells import read_statuses, read_tables, status, words
from matrix_tables import HEADINGS
from stock_matrix import DIMS, Request, run
from torch.ao.quantization import get_default_qconfig

# Engine, section and row. Without VNNI other rows saturate, whose sums are right with it.
ROWS = (
    ("x86", "shapes", "transposed, per channel"),
    ("x86", "ops", "forward, int8 activations"),
    ("x86", "ops", "forward, `_add`"),
    ("onednn", "shapes", "forward, per tensor, weight zero points"),
    ("onednn", "shapes", "transposed, per tensor"),
    ("onednn", "shapes", "transposed, per tensor, output padding"),
    ("onednn", "data", "one object, the plain op and then `_relu`"),
    ("onednn", "plain", "weight zero points"),
    ("fbgemm", "shapes", "transposed, per channel"),
    ("fbgemm", "data", "stride 0 is an error"),
    ("qnnpack", "shapes", "transposed, per tensor"),
    ("qnnpack", "data", "one object, another output scale"),
)


def measured_with() -> str:
    """The release of torch that the page names."""
    found = re.search(r"on torch (\d+\.\d+)", PAGE.read_text())
    assert found
    return found.group(1)


def without_numbers(text: str) -> str:
    return re.sub(r"\*\* \d+(, \d+)*", "**", text)


def outcomes(engine: str, section: str, row: str) -> list[Outcome]:
    return [run(Request(section, row, engine, dims)).outcome for dims in DIMS]


@pytest.mark.parametrize(("engine", "section", "row"), ROWS, ids=[" ".join(row) for row in ROWS])
def test_the_page_says_so(engine: str, section: str, row: str) -> None:
    if not torch.__version__.startswith(f"{measured_with()}."):
        pytest.skip(f"the page was made with torch {measured_with()}")
    column = "PyTorch" if section == "plain" else f"PyTorch {engine}"
    cell = read_tables()[HEADINGS[section]][row, column]
    found = outcomes(engine, section, row)
    if section == "shapes":
        assert read_statuses(cell) == [status(outcome) for outcome in found]
    else:
        assert without_numbers(cell) == without_numbers(words(found))


@pytest.mark.filterwarnings("ignore:Please use quant_min and quant_max:UserWarning")
def test_default_qconfigs_keep_activations_to_half_their_range() -> None:
    for engine, largest in {"x86": 127, "fbgemm": 127, "onednn": 255, "qnnpack": 255}.items():
        assert get_default_qconfig(engine).activation().quant_max == largest


def test_a_process_that_dies_is_told_and_replaced() -> None:
    died, *_ = outcomes("fbgemm", "data", "0 groups are an error")
    assert died.death == "exit status -8"  # SIGFPE
    assert outcomes("fbgemm", "data", "empty batch") == [Outcome()] * 3
