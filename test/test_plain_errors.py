"""Bad arguments of the plain-tensor ops get an error that names them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from bad_input import assert_raises, with_storage
from ops import op

ARGUMENTS: dict[str, Any] = {
    "qx": torch.ones(1, 4, 6, 6, dtype=torch.uint8),
    "x_scale": 0.1,
    "x_zero_point": 3,
    "qw": torch.ones(8, 4, 3, 3, dtype=torch.int8),
    "w_scale": torch.full((8,), 0.05),
    "w_zero_point": torch.zeros(8, dtype=torch.int32),
    "bias": torch.ones(8),
    "stride": [1, 1],
    "padding": [0, 0],
    "dilation": [1, 1],
    "groups": 1,
    "output_scale": 0.1,
    "output_zero_point": 5,
    "output_dtype": torch.uint8,
}
UNARY: dict[str, Any] = {"attr": "none", "scalars": [], "algorithm": ""}
BINARY: dict[str, Any] = {
    "qaccum": torch.ones(1, 8, 4, 4, dtype=torch.uint8),
    "accum_scale": 0.1,
    "accum_zero_point": 0,
    "binary_attr": "sum",
    "alpha": 1,
    "unary_attr": "none",
    "unary_scalars": [],
    "unary_algorithm": "",
}
FLOAT = {"output_dtype": torch.float32, "output_scale": 1.0, "output_zero_point": 0}

REFUSED: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"qx": torch.ones(1, 4, 6, 6)}, TypeError, "input must have dtype torch.uint8 or torch.int8"),
    ({"qx": torch.ones(1, 3, 6, 6).byte()}, ValueError, "input must have 4 channels, got 3"),
    ({"qx": torch.ones(4, 6, 6).byte()}, ValueError, "input must have 4 dimensions"),
    ({"qx": torch.ones(1, 4, 2, 6).byte()}, ValueError, "input of size [2, 6] with padding"),
    ({"x_scale": 0.0}, ValueError, "input scale must be a positive, finite"),
    ({"x_scale": float("nan")}, ValueError, "input scale must be a positive, finite"),
    ({"x_zero_point": 256}, ValueError, "input zero point must be in [0, 255], got 256"),
    ({"qw": torch.ones(8, 4, 3, 3)}, TypeError, "weight must have dtype torch.int8, got torch.f"),
    ({"qw": torch.ones(8, 4).char()}, ValueError, "weight must have 3 to 5 dimensions"),
    ({"qw": torch.ones(0, 4, 3, 3).char()}, ValueError, "weight scales must have 1 element or"),
    ({"w_scale": torch.ones(7)}, ValueError, "weight scales must have 1 element or one for each"),
    ({"w_scale": torch.ones(8).int()}, TypeError, "weight scales must have dtype torch.float32 or"),
    ({"w_scale": torch.zeros(8)}, ValueError, "weight scale of channel 0 must be a positive"),
    ({"w_zero_point": torch.zeros(8)}, TypeError, "weight zero points must have an integer dtype"),
    ({"w_zero_point": torch.full((8,), 128)}, ValueError, "weight zero point of channel 0 must be"),
    ({"bias": torch.ones(7)}, ValueError, "bias must have one dimension with out_channels = 8"),
    ({"bias": torch.ones(8).double()}, TypeError, "bias must have dtype torch.float32"),
    ({"bias": torch.full((8,), float("inf"))}, ValueError, "bias must be finite, got inf"),
    ({"stride": [0, 1]}, ValueError, "stride must be positive and below 2^31, got [0, 1]"),
    ({"stride": [1]}, ValueError, "stride must have 2 elements, got 1"),
    ({"padding": [-1, 0]}, ValueError, "padding must be non-negative"),
    ({"dilation": [1, 2**31]}, ValueError, "dilation must be positive and below 2^31"),
    ({"groups": 0}, ValueError, "groups must be positive"),
    ({"groups": 3}, ValueError, "groups must divide weight.size(0)"),
    ({"output_scale": -1.0}, ValueError, "output_scale must be a positive, finite"),
    ({"output_zero_point": -1}, ValueError, "output_zero_point must be in [0, 255], got -1"),
    ({"output_dtype": torch.int32}, TypeError, "output_dtype must be torch.uint8, int8, float32 "),
    ({**FLOAT, "output_scale": 0.5}, ValueError, "output_scale and output_zero_point must be 1 "),
]

UNARY_REFUSED: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"attr": "tanh"}, ValueError, "attr must be one of none, relu, hardtanh, leaky_relu, hardswi"),
    ({"attr": "gelu"}, ValueError, "algorithm of gelu must be 'none' or 'tanh', got ''"),
    ({"attr": "gelu", "algorithm": "erf"}, ValueError, "algorithm of gelu must be 'none' or 'tan"),
    ({"attr": "leaky_relu"}, ValueError, "scalars of leaky_relu must be its slope, got 0"),
    (
        {"attr": "leaky_relu", "scalars": [float("inf")]},
        ValueError,
        "the slope of leaky_relu must be finite, got inf",
    ),
    ({"attr": "hardtanh"}, ValueError, "scalars of hardtanh must be its two ends, got 0"),
    ({"attr": "hardtanh", "scalars": [2, 1]}, ValueError, "scalars of hardtanh must be in order"),
    (
        {"attr": "hardtanh", "scalars": [None, 1]},
        ValueError,
        "scalars of hardtanh must be real numbers",
    ),
    ({"scalars": [1.0]}, ValueError, "scalars must be empty for attr none, got 1"),
    ({"algorithm": "tanh"}, ValueError, "algorithm must be empty: attr none has one form"),
]

BINARY_REFUSED: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"qaccum": torch.ones(1, 8, 4, 5).byte()}, ValueError, "qaccum must have the output's size"),
    ({"qaccum": torch.ones(1, 8, 4, 4)}, TypeError, "qaccum must have the output's dtype torch.u"),
    (
        {"qaccum": torch.ones(1, 8, 4, 4).int(), "binary_attr": "add"},
        TypeError,
        "qaccum must have dtype torch.uint8, int8, float32 or bfloat16, got torch.int32",
    ),
    ({"accum_scale": 0.0}, ValueError, "accum_scale must be a positive"),
    ({"accum_zero_point": 300}, ValueError, "accum_zero_point must be in [0, 255], got 300"),
    ({"binary_attr": "mul"}, ValueError, "binary_attr must be one of sum, sum_relu, add, add_relu"),
    ({"alpha": 2}, ValueError, "alpha must be 1, got 2"),
    (
        {"binary_attr": "sum_relu", "unary_attr": "swish"},
        ValueError,
        "binary_attr sum_relu is followed by relu: unary_attr must be none or relu, got 'swish'",
    ),
    (
        {**FLOAT, "qaccum": torch.ones(1, 8, 4, 4)},
        ValueError,
        "accum_scale and accum_zero_point must be 1 and 0 for a float qaccum",
    ),
]


@pytest.mark.parametrize(("changes", "error", "text"), [*REFUSED, *UNARY_REFUSED], ids=str)
def test_unary(changes: dict[str, Any], error: type[Exception], text: str) -> None:
    for name in ("qconv_pointwise", "qconv2d_pointwise"):
        arguments = {**ARGUMENTS, **UNARY, **changes}
        assert_raises(error, f"{name}: {text}", lambda n=name, a=arguments: op(n)(**a))


def test_bias_outside_its_memory_for_a_weight_that_ran_before() -> None:
    run = op("qconv_pointwise")
    run(**ARGUMENTS, **UNARY)
    arguments = {**ARGUMENTS, **UNARY, "bias": with_storage(torch.ones(8), 4)}
    text = (
        "qconv_pointwise: bias of size [8] and strides [1] must lie inside its storage of 4 bytes"
    )
    assert_raises(ValueError, text, lambda: run(**arguments))


@pytest.mark.parametrize(("changes", "error", "text"), [*REFUSED, *BINARY_REFUSED], ids=str)
def test_binary(changes: dict[str, Any], error: type[Exception], text: str) -> None:
    arguments = {**ARGUMENTS, **BINARY, **changes}
    accumulator = arguments["qaccum"].clone()
    run = op("qconv_pointwise").binary
    assert_raises(error, f"qconv_pointwise: {text}", lambda: run(**arguments))
    assert torch.equal(arguments["qaccum"], accumulator)


@pytest.mark.parametrize("dims", [1, 3])
def test_the_op_of_another_number_of_dimensions(dims: int) -> None:
    text = f"qconv{dims}d_pointwise: weight must have {dims + 2} dimensions, got 4"
    run = op(f"qconv{dims}d_pointwise")
    assert_raises(ValueError, text, lambda: run(**ARGUMENTS, **UNARY))


def test_scale_and_zero_point_tensors_have_one_element() -> None:
    two = torch.ones(2)
    text = "qconv_pointwise: x_scale must be a number or a tensor with one element, got size [2]"
    arguments = {**ARGUMENTS, **UNARY, "x_scale": two, "x_zero_point": torch.tensor(1)}
    assert_raises(ValueError, text, lambda: op("qconv_pointwise").tensor(**arguments))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"x_shape": [1, 4, 6]}, "x_shape must have 4 elements [batch, channels, spatial...]"),
        ({"x_shape": [1, 3, 6, 6]}, "x_shape must have 4 channels, got [1, 3, 6, 6]"),
        ({"x_shape": [1, 4, 0, 6]}, "x_shape must be positive"),
        ({"x_shape": [1, 4, 2, 6]}, "input of size [2, 6] with padding [0, 0] must not be smaller"),
        ({"x_scale": -1.0}, "input scale must be a positive"),
        ({"x_zp": 256}, "input zero point must be in [-128, 255], got 256"),
        ({"stride": [0, 0]}, "stride must be positive"),
        ({"groups": 5}, "groups must divide weight.size(0)"),
        ({"w_scales": torch.ones(3)}, "weight scales must have 1 element or one for each of the 8"),
    ],
    ids=str,
)
def test_prepack(changes: dict[str, Any], text: str) -> None:
    arguments = {
        "weight": ARGUMENTS["qw"], "w_scales": ARGUMENTS["w_scale"], "x_scale": 0.1, "x_zp": 3,
        "stride": [1, 1], "padding": [0, 0], "dilation": [1, 1], "groups": 1, **changes,
    }  # fmt: skip
    assert_raises(ValueError, f"qconv_prepack: {text}", lambda: op("qconv_prepack")(**arguments))
