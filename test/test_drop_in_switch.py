"""Turning drop-in mode on and off: nested, overlapping, from the environment, with an engine."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from bad_input import assert_raises
from conv_case import ConvCase
from ops import ENGINES, is_ours, pack, pack_arguments
from registrations import differences, registrations

import torch_qconv_prepack as qconv

DATA = ConvCase("plain", in_channels=8, out_channels=16).data()


@pytest.fixture(autouse=True)
def off_before_and_after() -> Iterator[None]:
    assert not qconv.is_enabled()
    yield
    qconv.disable()
    assert not qconv.is_enabled()


def packed_by_pytorchs_op() -> Any:
    return torch.ops.quantized.conv2d_prepack(*pack_arguments(DATA))


def packs_here() -> bool:
    result = is_ours(packed_by_pytorchs_op())
    assert result == qconv.is_enabled()
    return result


def engine_that_packs() -> str:
    return qconv.describe(packed_by_pytorchs_op()).engine


def test_enable_is_a_switch_and_not_a_count() -> None:
    assert not packs_here()
    qconv.enable()
    qconv.enable()
    assert packs_here()
    qconv.disable()
    assert not packs_here()
    qconv.disable()
    qconv.enable()
    assert packs_here()


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
def test_blocks_end_in_any_order(order: tuple[int, ...]) -> None:
    before = registrations()
    blocks = [qconv.enabled() for _ in range(3)]
    for block in blocks:
        block.__enter__()
    for left, index in zip((2, 1, 0), order, strict=True):
        assert packs_here()
        blocks[index].__exit__(None, None, None)
        assert packs_here() == (left > 0)
    assert differences(before, registrations()) == []


@pytest.mark.parametrize("disable_inside", [False, True])
def test_block_and_switch_are_independent(disable_inside: bool) -> None:
    qconv.enable()
    with qconv.enabled():
        if disable_inside:
            qconv.disable()
        assert packs_here()
    assert packs_here() != disable_inside


def test_an_error_in_a_block_ends_it() -> None:
    with pytest.raises(KeyError), qconv.enabled():
        raise KeyError
    assert not packs_here()


@pytest.mark.parametrize("engine", ENGINES)
def test_the_engine_packs_that_was_named(engine: str) -> None:
    with qconv.enabled(engine=engine):
        assert engine_that_packs() == engine
    qconv.enable(engine)
    assert engine_that_packs() == engine


@pytest.mark.parametrize("engine", ENGINES)
def test_without_a_name_the_default_engine_packs(engine: str) -> None:
    qconv.enable()
    assert engine_that_packs() == pack(DATA).engine()
    with qconv.engine(engine):
        assert engine_that_packs() == engine


def test_of_several_names_the_last_one_counts() -> None:
    qconv.enable("fbgemm")
    with qconv.enabled("qnnpack"):
        assert engine_that_packs() == "qnnpack"
        with qconv.enabled():
            assert engine_that_packs() == pack(DATA).engine()
        assert engine_that_packs() == "qnnpack"
    assert engine_that_packs() == "fbgemm"
    qconv.enable("qnnpack")
    assert engine_that_packs() == "qnnpack"


def test_a_name_counts_as_one_given_to_the_op() -> None:
    qconv.enable("fbgemm")
    with qconv.engine("qnnpack"):
        assert engine_that_packs() == "fbgemm"


@pytest.mark.parametrize(
    ("function", "name"),
    [(qconv.enable, "enable"), (lambda engine: qconv.enabled(engine).__enter__(), "enabled")],
)
def test_a_wrong_engine_is_refused_and_changes_nothing(
    function: Callable[[Any], object], name: str
) -> None:
    wrong = {"foo": (ValueError, "drop-in mode: engine must be one of auto, "),
             3: (TypeError, f"{name}: engine must be a string or None, got 3")}  # fmt: skip
    for engine, (error, start) in wrong.items():
        assert_raises(error, start, lambda e=engine: function(e))
    assert not packs_here()
    qconv.enable("fbgemm")
    for engine, (error, start) in wrong.items():
        assert_raises(error, start, lambda e=engine: function(e))
    assert engine_that_packs() == "fbgemm"


def test_a_ticket_that_is_not_out_is_refused() -> None:
    start = "disable: ticket must be one that is out, got 12345"
    op = torch.ops.torch_qconv_prepack._drop_in_disable
    assert_raises(ValueError, start, lambda: op(12345))


PROGRAM = """
import torch
import torch_qconv_prepack as qconv
weight = torch._make_per_tensor_quantized_tensor(torch.ones(8, 4, 3, 3, dtype=torch.int8), 0.1, 0)
params = torch.ops.quantized.conv2d_prepack(weight, None, [1, 1], [0, 0], [1, 1], 1)
print(qconv.is_enabled())
if qconv.is_enabled():
    print(qconv.describe(params).engine)
"""


def imported_with(**variables: str) -> subprocess.CompletedProcess[str]:
    """Run the program with these variables, and none of the package's others."""
    others = {k: v for k, v in os.environ.items() if not k.startswith("TORCH_QCONV_EN")}
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM],
        env=others | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_variable_turns_it_on_at_import() -> None:
    result = imported_with(TORCH_QCONV_ENABLE="1", TORCH_QCONV_ENGINE="fbgemm")
    assert (result.stdout.split(), result.stderr) == (["True", "fbgemm"], "")


@pytest.mark.parametrize("variables", [{}, {"TORCH_QCONV_ENABLE": ""}, {"TORCH_QCONV_ENABLE": "0"}])
def test_without_the_variable_it_is_off(variables: dict[str, str]) -> None:
    result = imported_with(**variables)
    assert (result.stdout.split(), result.stderr) == (["False"], "")


def test_another_value_of_the_variable_ends_the_import() -> None:
    result = imported_with(TORCH_QCONV_ENABLE="yes")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == (
        "ValueError: torch_qconv_prepack: TORCH_QCONV_ENABLE must be 1 or 0, got 'yes'"
    )
