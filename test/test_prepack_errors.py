"""Shapes, lists and groups that make no convolution are refused by the prepack ops, by name."""

from __future__ import annotations

from typing import Any

import pytest
from bad_input import (
    CONV2D,
    CONV_TRANSPOSE2D,
    KINDS,
    TRANSPOSED,
    Kind,
    assert_raises,
    every_kind,
    qint8,
)
from ops import ENGINE_NAMES, ENGINES, on_engines

HUGE = (2**31, 2**40, 2**62)
# Fits the range that arguments have, but is more than FBGEMM counts to.
LARGEST = 2**31 - 1


def lists_of(kind: Kind) -> tuple[str, ...]:
    shared = ("stride", "padding", "dilation")
    return (*shared, "output_padding") if kind.transposed else shared


# One row per list argument of every kind.
every_list = pytest.mark.parametrize(
    ("kind", "name"), [(k, n) for k in KINDS for n in lists_of(k)], ids=str
)


@every_list
def test_lists_have_one_element_per_dimension(kind: Kind, name: str) -> None:
    elements = "element" if kind.dims == 1 else "elements"
    for length in {0, 1, 2, 3, 4} - {kind.dims}:
        values = [1] * length
        start = f"{kind}_prepack: {name} must have {kind.dims} {elements}, got {length} ({values})"
        assert_raises(ValueError, start, lambda v=values: kind.prepack(**{name: v}))


@every_list
@pytest.mark.parametrize("value", [0, -1, -3, -(2**40), *HUGE])
def test_elements_of_lists_are_in_range(kind: Kind, name: str, value: int) -> None:
    zero_is_allowed = "padding" in name
    if value == 0 and zero_is_allowed:
        kind.prepack(**{name: [0] * kind.dims})
        return
    expected = "non-negative" if zero_is_allowed else "positive"
    for position in range(kind.dims):
        values = [1] * kind.dims
        values[position] = value
        start = f"{kind}_prepack: {name} must be {expected} and below 2^31, got {values}"
        assert_raises(ValueError, start, lambda v=values: kind.prepack(**{name: v}))


@pytest.mark.parametrize("name", ["stride", "padding", "dilation"])
@every_kind
def test_what_no_engine_can_count_to_is_not_implemented(kind: Kind, name: str) -> None:
    values = [1] * (kind.dims - 1) + [LARGEST]
    start = f"{kind}_prepack: engine auto can't run this {kind} ("
    assert_raises(NotImplementedError, start, lambda: kind.prepack(**{name: values}))


@every_kind
@pytest.mark.parametrize("groups", [0, -1, -(2**40), *HUGE])
def test_groups_are_in_range(kind: Kind, groups: int) -> None:
    start = f"{kind}_prepack: groups must be positive and below 2^31, got {groups}"
    assert_raises(ValueError, start, lambda: kind.prepack(groups=groups))


@every_kind
@pytest.mark.parametrize("groups", [3, 5, 16, LARGEST])
def test_groups_divide_the_channels(kind: Kind, groups: int) -> None:
    start = f"{kind}_prepack: groups must divide weight.size(0)"
    assert_raises(ValueError, start, lambda: kind.prepack(groups=groups))


@pytest.mark.parametrize("kind", [CONV2D, CONV_TRANSPOSE2D], ids=str)
def test_channels_of_all_groups_stay_below_2_to_the_31(kind: Kind) -> None:
    weight = qint8((1, 1, 1, 1)).expand(2**16, 2**16, 1, 1)  # one byte in memory
    start = f"{kind}_prepack: weight.size(1) * groups must be below 2^31, got 65536 * 65536"
    assert_raises(ValueError, start, lambda: kind.prepack(weight=weight, groups=2**16))


@pytest.mark.parametrize("kind", TRANSPOSED, ids=str)
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (1, 2), (2, 3)])
def test_output_padding_is_below_stride_or_dilation(kind: Kind, stride: int, dilation: int) -> None:
    lists: dict[str, Any] = {"stride": [stride] * kind.dims, "dilation": [dilation] * kind.dims}
    limit = max(stride, dilation)
    kind.prepack(**lists, output_padding=[limit - 1] * kind.dims)
    for value in (limit, limit + 1):
        values = [0] * (kind.dims - 1) + [value]
        start = (
            f"{kind}_prepack: output_padding must be smaller than stride or dilation, got {values}"
        )
        assert_raises(ValueError, start, lambda v=values: kind.prepack(**lists, output_padding=v))


@every_kind
@pytest.mark.parametrize("engine", ["", "mkldnn", "FBGEMM", "auto "])
def test_engine_is_one_that_exists(kind: Kind, engine: str) -> None:
    names = ", ".join(ENGINE_NAMES)
    start = f"{kind}_prepack: engine must be one of {names}, got '{engine}'"
    assert_raises(ValueError, start, lambda: kind.prepack(engine=engine))


@on_engines(KINDS, "kind", [None, "auto", "x86", *ENGINES])
def test_engine_that_exists_packs(kind: Kind, engine: str | None) -> None:
    assert kind.prepack(engine=engine).engine() in ENGINES
