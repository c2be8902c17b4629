"""Sound states of every version, and how tests spoil them one part at a time."""

from __future__ import annotations

from typing import Any, Literal

import pytest
import torch
from bad_input import assert_raises
from saved_states import (
    OWN_CLASS,
    Parts,
    build,
    own_config,
    own_payload,
    own_state,
    version1,
    version2,
    version3,
)
from torch import Tensor

import torch_qconv_prepack as qconv

WEIGHT = torch._make_per_tensor_quantized_tensor(
    torch.arange(72, dtype=torch.int8).reshape(4, 2, 3, 3), 0.05, 0
)
BIAS = torch.arange(4.0)
PARTS = Parts(WEIGHT, BIAS, (2, 1), (1, 0), (0, 0), (1, 2), groups=2)

V1, V2, V3 = version1(PARTS), version2(PARTS), version3(PARTS)
OWN_CONFIG, OWN_PAYLOAD = own_config(PARTS), own_payload(PARTS)
OWN = own_state(OWN_CONFIG, OWN_PAYLOAD)
CONFIG: Tensor = V2[1][0]  # of version 2
INTEGERS: list[int] = V3[1]  # of version 3
ONE = torch.tensor([1])

# The wrong part or state, the error that it must give, and how the text begins.
Row = tuple[Any, type[Exception], str]


def rows(table: dict[str, Row]) -> Any:
    """The table as arguments `state`, `error` and `text` of a test."""
    return pytest.mark.parametrize(
        ("state", "error", "text"), [pytest.param(*row, id=name) for name, row in table.items()]
    )


def replaced(state: tuple, index: int, value: object) -> tuple:
    return (*state[:index], value, *state[index + 1 :])


def assert_refused(
    state: object, error: type[Exception], text: str, dims: Literal[2, 3] = 2
) -> None:
    """Whoever reads the state refuses it, with an error of that very class and that text."""
    assert_raises(error, f"from_state: {text}", lambda: qconv.from_state(state, dims=dims))
    start = f"Conv{dims}dPackedParams.__setstate__: {text}"
    assert_raises(error, start, lambda: build(OWN_CLASS.format(dims), state))
