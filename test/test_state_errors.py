"""What has not the form of a state of any version is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from bad_input import assert_raises
from saved_states import OWN_CLASS, Parts, build, own_config, own_payload, own_state, version3
from spoiled_states import (
    BIAS,
    CONFIG,
    INTEGERS,
    ONE,
    OWN,
    V1,
    V2,
    V3,
    WEIGHT,
    assert_refused,
    replaced,
    rows,
)

import torch_qconv_prepack as qconv


def test_states_that_the_tables_spoil_are_sound() -> None:
    for state in (V1, V2, V3, OWN):
        assert qconv.from_state(state).stride() == [2, 1]


@pytest.mark.parametrize("state", [None, 3, "2", [3], {}, {"a": 1}, WEIGHT, list(V3)], ids=repr)
def test_state_that_is_no_tuple(state: Any) -> None:
    text = f"from_state: state must be a tuple, got {type(state).__name__}"
    assert_raises(TypeError, text, lambda: qconv.from_state(state))
    with pytest.raises((TypeError, RuntimeError)):  # torch itself can't hand on an empty dict
        build(OWN_CLASS.format(2), state)


MARKERS = (
    "state must begin with a weight tensor (version 1), '2', 3 or 'torch_qconv_prepack.1', got "
)


@rows(
    {
        "empty": ((), TypeError, "state must be a tuple with elements"),
        **{
            repr(marker): ((marker, INTEGERS, [None, WEIGHT, BIAS]), ValueError, MARKERS)
            for marker in (0, 1, 2, 4, -3, 2**62, None, True, 3.0, 3j, "", "1", "3", (3,), [3])
        },
        "other tag": (replaced(OWN, 0, "torch_qconv_prepack.2"), ValueError, MARKERS),
        "2 as a number": (replaced(V2, 0, 2), ValueError, MARKERS),
    }
)
def test_version_marker(state: Any, error: type[Exception], text: str) -> None:
    assert_refused(state, error, text)


NAMED_STATES = {"1": V1, "2": V2, "3": V3, "torch_qconv_prepack.1": OWN}


@rows(
    {
        f"{count} of version {version}": (
            (*state, None, None)[:count],
            ValueError,
            f"state version {version}: the tuple must have {len(state)} elements, got {count}",
        )
        for version, state in NAMED_STATES.items()
        for count in range(1, len(state) + 3)
        if count != len(state)
    }
)
def test_number_of_elements(state: Any, error: type[Exception], text: str) -> None:
    assert_refused(state, error, text)


WEIGHT_3D = torch._make_per_tensor_quantized_tensor(
    torch.ones(4, 2, 1, 3, 3, dtype=torch.int8), 0.1, 0
)
PARTS_3D = Parts(WEIGHT_3D, None, (1, 1, 1), (0, 0, 0), (0, 0, 0), (1, 1, 1), dims=3)
PARTS_1D = Parts(WEIGHT_3D[:, :, 0, :1], None, (1, 1), (0, 0), (0, 0), (1, 1))


def test_state_of_other_dimensions() -> None:
    own_3d = own_state(own_config(PARTS_3D), own_payload(PARTS_3D))
    own_1d = own_state(own_config(PARTS_1D, is_1d=True), own_payload(PARTS_1D))
    for dims, given, states in (
        (2, 3, (version3(PARTS_3D), own_3d)),
        (3, 2, (V2, V3, OWN)),
        (3, 1, (own_1d,)),
    ):
        for state in states:
            text = f"state of a {given}-D convolution can't be loaded into a {dims}-D object"
            assert_refused(state, ValueError, text, dims=dims)
    assert_refused(V1, ValueError, "state version 1: stride must have 3 elements, got 2", dims=3)


def test_1d_is_stored_as_2d_in_pytorchs_formats() -> None:
    state = replaced(V3, 1, [1, 1, 0, 1, 0, 1, 0])
    assert_refused(state, ValueError, "state must store 2 dimensions, got 1")


UNSENDABLE = {
    "empty list of integers": replaced(V3, 1, []),
    "empty dict": replaced(V3, 1, {}),
    "integers and text": replaced(V3, 1, [2, "1"]),
    "integers and floats": replaced(V3, 1, [2, 1.0]),
    "integer of 64 bits": replaced(V3, 1, [2**63, *INTEGERS[1:]]),
    "no tensors in 3": replaced(V3, 2, []),
    "number for the weight in 3": replaced(V3, 2, [None, 5, BIAS]),
    "text for the weight in 3": replaced(V3, 2, [None, "weight", BIAS]),
    "number for the bias in 3": replaced(V3, 2, [None, WEIGHT, 3]),
    "no tensors in 2": replaced(V2, 1, []),
    "number for the weight in 2": replaced(V2, 1, [CONFIG, 5]),
    "list for the weight in 2": replaced(V2, 1, [CONFIG, [WEIGHT]]),
    "empty stride in 1": replaced(V1, 2, []),
    "tensor and number in 1": replaced(V1, 2, [ONE, 1]),
    "no config in the own state": replaced(OWN, 2, []),
    "set": ({3}, INTEGERS),
    "object": (object(),),
    "text that is no UTF-8": ("\udc80",),
}


@pytest.mark.parametrize("state", UNSENDABLE.values(), ids=UNSENDABLE)
def test_state_that_torch_cannot_hand_on(state: Any) -> None:
    # torch makes no C++ value of these, and its own error prints the whole weight.
    with pytest.raises((ValueError, TypeError), match=r"^from_state: ") as error:
        qconv.from_state(state)
    assert len(str(error.value)) < 500
    with pytest.raises((ValueError, TypeError, RuntimeError)):
        build(OWN_CLASS.format(2), state)
