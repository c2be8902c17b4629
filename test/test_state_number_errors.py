"""Numbers that make no convolution are refused, in every place of every version of state."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from saved_states import WRITERS, Parts, own_config, own_payload, own_state
from spoiled_states import PARTS, assert_refused

import torch_qconv_prepack as qconv

Write = Callable[[Parts], tuple]


def write_own(parts: Parts) -> tuple:
    """This package's own state, whose payload stays what it was."""
    return own_state(own_config(parts), own_payload(PARTS))


ALL_WRITERS: dict[str, Write] = {**{str(v): w for v, w in WRITERS.items()}, "own": write_own}
# What each version can hold: version 1 has no output_padding, 2 has int16 only.
LIMITS = {"1": 2**63, "2": 2**15, "3": 2**63, "own": 2**63}


def fits(version: str, number: int) -> bool:
    return -LIMITS[version] <= number < LIMITS[version]


def named(version: str) -> str:
    """How messages call it."""
    return f"state version {'torch_qconv_prepack.1' if version == 'own' else version}"


OUT_OF_RANGE = (-1, -(2**15), 2**31, 2**40, 2**62, 2**63 - 1, -(2**63))


def wrong_numbers() -> Iterator[tuple[str, Parts, str, int]]:
    """Name, parts, message and wrong value: one wrong number in every place."""
    for name, smallest in (("stride", 1), ("padding", 0), ("output_padding", 0), ("dilation", 1)):
        expected = "positive" if smallest else "non-negative"
        for place in (0, 1):
            for value in (*OUT_OF_RANGE, 0) if smallest else OUT_OF_RANGE:
                numbers = list(getattr(PARTS, name))
                numbers[place] = value
                text = f"{name} must be {expected} and below 2^31, got {numbers}"
                yield f"{name}[{place}]={value}", PARTS.but(**{name: numbers}), text, value
    for value in (1, 2, 2**15):
        text = "output_padding must be 0 where the convolution isn't transposed, got "
        yield f"output_padding={value}", PARTS.but(output_padding=(0, value)), text, value
    for value in (*OUT_OF_RANGE, 0):
        yield f"groups={value}", PARTS.but(groups=value), "groups must be positive", value
    for value in (3, 5, 2**15, 2**31 - 1):
        text = "groups must divide weight.size(0), which is out_channels, got groups "
        yield f"groups={value}", PARTS.but(groups=value), text, value


NUMBERS = [
    pytest.param(ALL_WRITERS[version], parts, text, id=f"{version}-{name}")
    for name, parts, text, value in wrong_numbers()
    for version in ALL_WRITERS
    if fits(version, value) and not (version == "1" and name.startswith("output_padding"))
]


@pytest.mark.parametrize(("write", "parts", "text"), NUMBERS)
def test_numbers(write: Write, parts: Parts, text: str) -> None:
    if write is write_own and text.startswith("groups must be positive") and parts.groups <= 0:
        # Here groups are needed for the payload's length, which is checked before what they mean.
        text = "state version torch_qconv_prepack.1: the weight's sizes and groups must be positive"
    assert_refused(write(parts), ValueError, text)


NO_DIMS = [0, -1, 4, 2**15 - 1, 2**31, 2**40, 2**62, -(2**63)]


@pytest.mark.parametrize(
    ("version", "dims"),
    [(v, dims) for v in ("2", "3", "own") for dims in NO_DIMS if fits(v, dims)],
)
def test_dims(version: str, dims: int) -> None:
    text = f"the config's dimensions must be 1, 2 or 3, got {dims}"
    assert_refused(
        ALL_WRITERS[version](PARTS.but(dims=dims)), ValueError, f"{named(version)}: {text}"
    )


@pytest.mark.parametrize(
    ("version", "dims", "text"),
    [
        ("2", 1, "7 values for 1 dimensions, got 11"),
        ("2", 3, "15 values for 3 dimensions, got 11"),
        ("3", 1, "7 values for 1 dimensions, got 11"),
        ("3", 3, "15 values for 3 dimensions, got 11"),
        ("own", 1, "11 elements, got 16"),
        ("own", 3, "21 elements, got 16"),
    ],
)
def test_dims_that_the_config_is_too_long_or_short_for(version: str, dims: int, text: str) -> None:
    state = ALL_WRITERS[version](PARTS.but(dims=dims))
    assert_refused(state, ValueError, f"{named(version)}: the config must have {text}")


UNKNOWN_FLAGS = [-1, 16, 2**14, 2**15, 2**31, 2**40, 2**62, -(2**63)]


@pytest.mark.parametrize(
    ("version", "flags"),
    [
        *((v, flags) for v in ("2", "3", "own") for flags in UNKNOWN_FLAGS if fits(v, flags)),
        # Known to this package's own state only.
        *((v, flags) for v in ("2", "3") for flags in (2, 3, 4, 8)),
    ],
)
def test_flags(version: str, flags: int) -> None:
    # The own state's other flags say what its payload holds.
    allowed = 15 if version == "own" else 1
    text = f"{named(version)}: the config's flags must be within {allowed}, got "
    assert_refused(ALL_WRITERS[version](PARTS.but(flags=flags)), ValueError, text)


@pytest.mark.parametrize("name", ["stride", "padding", "dilation"])
@pytest.mark.parametrize("version", ["1", "3", "own"])
def test_numbers_that_the_engine_cannot_count_to(version: str, name: str) -> None:
    parts = PARTS.but(**{name: (1, 2**31 - 1)})
    engine = "fbgemm" if version == "own" else "auto"
    text = f"engine {engine} can't run this conv2d ("
    assert_refused(ALL_WRITERS[version](parts), NotImplementedError, text)


@pytest.mark.parametrize("version", ALL_WRITERS)
@pytest.mark.parametrize("name", ["stride", "padding", "dilation"])
def test_large_numbers_in_range_are_accepted(version: str, name: str) -> None:
    value = 2**15 if LIMITS[version] > 2**15 else 2**15 - 1
    params = qconv.from_state(ALL_WRITERS[version](PARTS.but(**{name: (1, value)})))
    assert getattr(params, name)() == [1, value]
