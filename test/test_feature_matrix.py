"""The feature matrix: an engine is right or refuses with a reason, and the docs say which."""

from __future__ import annotations

import re

import pytest
from feature_matrix import Matrix, engines, run_all, run_native
from matrix_cells import read_tables, words
from matrix_tables import HEADINGS, our_cells


@pytest.fixture(scope="module")
def matrix() -> Matrix:
    return run_all()


@pytest.mark.xdist_group("feature_matrix")
def test_no_engine_is_ever_wrong(matrix: Matrix) -> None:
    wrong = {
        f"{features.name} on {engine}": outcome.wrong
        for (features, engine), outcomes in matrix.items()
        for outcome in outcomes
        if outcome.wrong or outcome.worst > 1
    }
    assert wrong == {}


@pytest.mark.xdist_group("feature_matrix")
def test_a_refusal_names_the_engines_that_can(matrix: Matrix) -> None:
    names = {engine.name for engine in engines() if engine.kind == "engine"}
    for (_, engine), outcomes in matrix.items():
        for refusal in (outcome.refusal for outcome in outcomes if outcome.refusal):
            assert f"engine {engine} can't run this" in refusal
            listed = set(refusal.rpartition("engines that can: ")[2].split(", "))
            assert listed
            assert listed <= names - {engine}


@pytest.mark.xdist_group("feature_matrix")
def test_auto_refuses_nothing(matrix: Matrix) -> None:
    assert not any(o.refusal for (_, engine), os in matrix.items() if engine == "auto" for o in os)


@pytest.mark.xdist_group("feature_matrix")
def test_the_page_in_the_docs_says_so(matrix: Matrix) -> None:
    table = read_tables()[HEADINGS["shapes"]].items()
    # How far off values at a tie are may depend on the machine.
    written = {key: re.sub(r"\d+", "n", cell) for key, cell in table}
    found = {key: re.sub(r"\d+", "n", cell) for key, cell in our_cells(matrix).items()}
    assert {name for name, _ in written} == {name for name, _ in found}
    # Another machine may lack an engine.
    common = written.keys() & found.keys()
    assert common
    assert {key: written[key] for key in common} == {key: found[key] for key in common}


@pytest.mark.parametrize("section", [name for name in HEADINGS if name != "shapes"])
def test_native_is_right_on_every_other_row_and_the_page_says_so(section: str) -> None:
    found = {row: words(outcomes) for row, outcomes in run_native(section).items()}
    assert found == dict.fromkeys(found, "right")
    table = read_tables()[HEADINGS[section]].items()
    assert found == {row: cell for (row, column), cell in table if column == "native"}
