"""Versions 2 and 3: every part of the wrong type, length or order is refused."""

from __future__ import annotations

from typing import Any

import torch
from bad_input import with_storage
from spoiled_states import (
    BIAS,
    CONFIG,
    INTEGERS,
    ONE,
    V2,
    V3,
    WEIGHT,
    assert_refused,
    replaced,
    rows,
)

LONGER = torch.cat([CONFIG, CONFIG[:1]])
NO_INT16 = "the config must have dtype torch.int16, got "


@rows(
    {
        **{
            str(dtype): (CONFIG.to(dtype), TypeError, NO_INT16 + str(dtype))
            for dtype in (torch.int32, torch.int64, torch.uint8, torch.float32, torch.bool)
        },
        "quantized": (WEIGHT, TypeError, NO_INT16 + "torch.qint8"),
        "row": (CONFIG[None], ValueError, "the config must have one dimension, got size [1, 11]"),
        "scalar": (CONFIG[0], ValueError, "the config must have one dimension, got size []"),
        "empty": (CONFIG[:0], ValueError, "the config must not be empty"),
        "short": (
            CONFIG[:-1],
            ValueError,
            "the config must have 11 values for 2 dimensions, got 10",
        ),
        "long": (LONGER, ValueError, "the config must have 11 values for 2 dimensions, got 12"),
        "no memory": (
            with_storage(CONFIG.clone(), 0),
            ValueError,
            "the config of size [11] and str",
        ),
        "half memory": (
            with_storage(CONFIG.clone(), 11),
            ValueError,
            "the config of size [11] and ",
        ),
        "meta": (
            CONFIG.to("meta"),
            ValueError,
            "the config must be on the CPU, got a tensor on device",
        ),
        "sparse": (
            CONFIG.to_sparse(),
            TypeError,
            "the config must be a dense tensor, got layout S",
        ),
    }
)
def test_config_of_version_2(state: Any, error: type[Exception], text: str) -> None:
    assert_refused(replaced(V2, 1, [state, WEIGHT]), error, f"state version 2: {text}")


NO_LIST1 = "element 1 must be a list of tensors, got "


@rows(
    {
        "None": (None, TypeError, NO_LIST1 + "None"),
        "number": (3, TypeError, NO_LIST1 + "Int"),
        "text": ("2", TypeError, NO_LIST1 + "String"),
        "tensor": (CONFIG, TypeError, NO_LIST1 + "Tensor"),
        "tuple": ((CONFIG, WEIGHT), TypeError, NO_LIST1 + "Tuple"),
        "numbers": (INTEGERS, TypeError, "element 1 must be a list of tensors or None, got Int"),
        "config alone": ([CONFIG], ValueError, "element 1 must have 2 elements, got 1"),
        "third": ([CONFIG, WEIGHT, WEIGHT], ValueError, "element 1 must have 2 elements, got 3"),
        "no config": ([None, WEIGHT], TypeError, NO_LIST1 + "None"),
        "no weight": ([CONFIG, None], TypeError, NO_LIST1 + "None"),
    }
)
def test_tensors_of_version_2(state: Any, error: type[Exception], text: str) -> None:
    assert_refused(replaced(V2, 1, state), error, f"state version 2: {text}")


NO_LIST2 = "element 2 must be a list of tensors, got "
SECOND = "element 2 must have at most one element (the bias), got 2"


@rows(
    {
        "None": (None, TypeError, NO_LIST2 + "None"),
        "number": (3, TypeError, NO_LIST2 + "Int"),
        "tensor": (BIAS, TypeError, NO_LIST2 + "Tensor"),
        "tuple": ((BIAS,), TypeError, NO_LIST2 + "Tuple"),
        "dict": ({"bias": BIAS}, TypeError, NO_LIST2 + "GenericDict"),
        "numbers": ([3], TypeError, "element 2 must be a list of tensors or None, got Int"),
        "second": ([BIAS, BIAS], ValueError, SECOND),
        "second of None": ([BIAS, None], ValueError, SECOND),
        "twice None": ([None, None], ValueError, SECOND),
    }
)
def test_bias_of_version_2(state: Any, error: type[Exception], text: str) -> None:
    assert_refused(replaced(V2, 2, state), error, f"state version 2: {text}")


NO_INTEGERS = "element 1 must be a list of integers, "
LENGTH = "the config must have 11 values for 2 dimensions, got "


@rows(
    {
        "None": (None, TypeError, NO_INTEGERS + "got None"),
        "tensor": (CONFIG, TypeError, NO_INTEGERS + "got Tensor"),
        "tuple": (tuple(INTEGERS), TypeError, NO_INTEGERS + "got Tuple"),
        "text": ("2", TypeError, NO_INTEGERS + "got String"),
        "dict": ({1: 1}, TypeError, NO_INTEGERS + "got GenericDict"),
        "floats": ([2.0] * 11, TypeError, NO_INTEGERS + "with one entry, got Double"),
        "bools": ([True] * 11, TypeError, NO_INTEGERS + "with one entry, got Bool"),
        "texts": (["2"] * 11, TypeError, NO_INTEGERS + "with one entry, got String"),
        "tensors": ([ONE] * 11, TypeError, NO_INTEGERS + "with one entry, got Tensor"),
        "lists": ([INTEGERS], TypeError, NO_INTEGERS + "with one entry, got GenericList"),
        "nothings": ([None] * 11, TypeError, NO_INTEGERS + "with one entry, got None"),
        "one": ([2], ValueError, LENGTH + "1"),
        "short": (INTEGERS[:-1], ValueError, LENGTH + "10"),
        "long": ([*INTEGERS, 0], ValueError, LENGTH + "12"),
    }
)
def test_config_of_version_3(state: Any, error: type[Exception], text: str) -> None:
    assert_refused(replaced(V3, 1, state), error, f"state version 3: {text}")


ORDER = "element 2 must be [None, weight, bias or None]"


@rows(
    {
        "None": (None, TypeError, NO_LIST2 + "None"),
        "tensor": (WEIGHT, TypeError, NO_LIST2 + "Tensor"),
        "tuple": ((None, WEIGHT, BIAS), TypeError, NO_LIST2 + "Tuple"),
        "numbers": ([1, 2, 3], TypeError, "element 2 must be a list of tensors or None, got Int"),
        "one": ([WEIGHT], ValueError, "element 2 must have 3 elements, got 1"),
        "two": ([None, WEIGHT], ValueError, "element 2 must have 3 elements, got 2"),
        "second bias": (
            [None, WEIGHT, BIAS, BIAS],
            ValueError,
            "element 2 must have 3 elements, got",
        ),
        "tensor first": ([WEIGHT, WEIGHT, BIAS], ValueError, ORDER),
        "no weight": ([None, None, BIAS], ValueError, ORDER),
        "nothing": ([None] * 3, ValueError, ORDER),
    }
)
def test_tensors_of_version_3(state: Any, error: type[Exception], text: str) -> None:
    assert_refused(replaced(V3, 2, state), error, f"state version 3: {text}")
