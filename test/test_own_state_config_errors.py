"""This package's own state: numbers of its config that its payload or meaning refutes."""

from __future__ import annotations

import pytest
from bad_input import assert_raises
from conv_case import ConvCase
from saved_states import (
    HAS_BIAS,
    MAY_RUN_AS_1D,
    OWN_TAG,
    TRANSPOSED,
    own_config,
    own_payload,
    own_state,
    parts_of,
)
from spoiled_states import OWN, OWN_CONFIG, OWN_PAYLOAD, assert_refused, replaced

import torch_qconv_prepack as qconv

VERSION = f"state version {OWN_TAG}: "
# Places in the config.
GROUPS, FLAGS, SIZES = 9, 10, 11


def changed(values: list[int], index: int, value: int) -> list[int]:
    return [*values[:index], value, *values[index + 1 :]]


def test_every_changed_number_is_noticed() -> None:
    for index in range(len(OWN[2])):
        for value in (OWN[2][index] + 1, OWN[2][index] - 1, OWN[2][index] ^ 2):
            state = replaced(OWN, 2, changed(OWN[2], index, value))
            assert_raises(ValueError, "from_state: ", lambda s=state: qconv.from_state(s))


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("size", [0, -1, -(2**63), 2**60, 2**62, 2**63 - 1])
def test_sizes_that_are_not_positive_or_overflow(place: int, size: int) -> None:
    config = changed(OWN_CONFIG, SIZES + place, size)
    text = (
        VERSION + "the weight's sizes and groups must be positive and their product fit int64, got "
    )
    assert_refused(own_state(config, OWN_PAYLOAD), ValueError, text)


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("size", [1, 5, 2**15, 2**31, 2**40, 2**50])
def test_sizes_that_the_payload_does_not_have(place: int, size: int) -> None:
    config = changed(OWN_CONFIG, SIZES + place, size)
    assert_refused(own_state(config, OWN_PAYLOAD), ValueError, VERSION + "element 3 must ")


def test_sizes_and_groups_whose_product_overflows() -> None:
    transposed = changed(OWN_CONFIG, FLAGS, TRANSPOSED | HAS_BIAS)
    for groups in (2**60, 2**62, 2**63 - 1):
        state = own_state(changed(transposed, GROUPS, groups), OWN_PAYLOAD)
        assert_refused(state, ValueError, VERSION)


# Without the flag for a transposed convolution, which has as many bytes here, and the one for 1-D.
@pytest.mark.parametrize("flags", [0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 14, 15])
def test_flags_that_the_payload_does_not_agree_with(flags: int) -> None:
    state = own_state(changed(OWN_CONFIG, FLAGS, flags), OWN_PAYLOAD)
    assert_refused(state, ValueError, VERSION + "element 3 must ")


FLAT = ConvCase("c", kernel=(1, 3), bias=False)


@pytest.mark.parametrize(
    "case",
    [
        ConvCase("3x3"),
        FLAT.but(name="padding", padding=(1, 0)),
        FLAT.but(name="stride", stride=(2, 1)),
        FLAT.but(name="dilation", dilation=(2, 1)),
        FLAT.but(name="output_padding", transposed=True, dilation=(2, 1), output_padding=(1, 0)),
        ConvCase("1-D", dims=1),
        ConvCase("3-D", dims=3, kernel=(1, 1, 3)),
    ],
    ids=str,
)
def test_flag_of_1d_where_the_height_counts(case: ConvCase) -> None:
    # A 1-D op makes room for one row of output: to believe the flag would be to write beyond it.
    parts = parts_of(case.data())
    config = own_config(parts, is_1d=case.dims == 1)
    config[4 * case.dims + 2] |= MAY_RUN_AS_1D
    state = own_state(config, own_payload(parts))
    assert_refused(state, ValueError, "", dims=3 if case.dims == 3 else 2)
