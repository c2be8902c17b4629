"""Version 1: every part of the wrong type, length or value is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from bad_input import qint8, with_storage
from spoiled_states import CONFIG, ONE, V1, assert_refused, replaced, rows

LISTS = {2: "stride", 3: "padding", 4: "dilation"}


@pytest.mark.parametrize("index", LISTS)
@rows(
    {
        "None": (None, TypeError, "element {} must be a list of tensors, got None"),
        "tensor": (ONE, TypeError, "element {} must be a list of tensors, got Tensor"),
        "tuple": ((ONE, ONE), TypeError, "element {} must be a list of tensors, got Tuple"),
        "integers": ([2, 1], TypeError, "element {} must be a list of tensors or None, got Int"),
        "nothing": ([None, ONE], TypeError, "element {} must be a list of tensors, got None"),
        "one": ([ONE], ValueError, "{name} must have 2 elements, got 1"),
        "three": ([ONE] * 3, ValueError, "{name} must have 2 elements, got 3"),
    }
)
def test_lists(index: int, state: Any, error: type[Exception], text: str) -> None:
    text = text.format(index, name=LISTS[index])
    assert_refused(replaced(V1, index, state), error, f"state version 1: {text}")


NOT_INTEGER = "{} must be an integer tensor, got "


@pytest.mark.parametrize("index", [*LISTS, 5])
@rows(
    {
        "float": (ONE.float(), TypeError, NOT_INTEGER + "torch.float32"),
        "bool": (ONE.bool(), TypeError, NOT_INTEGER + "torch.bool"),
        "complex": (ONE * 1j, TypeError, NOT_INTEGER + "torch.complex64"),
        "quantized": (qint8((1,)), TypeError, NOT_INTEGER + "torch.qint8"),
        "two": (CONFIG[:2], ValueError, "{} must have one element, got size [2]"),
        "none": (ONE[:0], ValueError, "{} must have one element, got size [0]"),
        "no memory": (
            with_storage(ONE.clone(), 0),
            ValueError,
            "{} of size [1] and strides [1] must ",
        ),
        "half memory": (
            with_storage(ONE.clone(), 4),
            ValueError,
            "{} of size [1] and strides [1] mu",
        ),
        "meta": (ONE.to("meta"), ValueError, "{} must be on the CPU, got a tensor on device meta"),
        "sparse": (ONE.to_sparse(), TypeError, "{} must be a dense tensor, got layout Sparse"),
        "uint64": (ONE.to(torch.uint64), TypeError, NOT_INTEGER + "torch.uint64"),
    }
)
def test_numbers(index: int, state: Any, error: type[Exception], text: str) -> None:
    name = LISTS.get(index, "groups")
    spoiled = replaced(V1, index, state if name == "groups" else [state, ONE])
    assert_refused(spoiled, error, f"state version 1: {text.format(name)}")


@rows(
    {
        "None": (None, TypeError, "got None"),
        "integer": (2, TypeError, "got Int"),
        "list": ([ONE], TypeError, "got GenericList"),
    }
)
def test_groups(state: Any, error: type[Exception], text: str) -> None:
    assert_refused(
        replaced(V1, 5, state), error, f"state version 1: element 5 must be a tensor, {text}"
    )


@rows(
    {
        "integer": (3, TypeError, "got Int"),
        "text": ("bias", TypeError, "got String"),
        "list": ([ONE], TypeError, "got GenericList"),
    }
)
def test_bias(state: Any, error: type[Exception], text: str) -> None:
    assert_refused(
        replaced(V1, 1, state),
        error,
        f"state version 1: element 1 must be a tensor or None, {text}",
    )
