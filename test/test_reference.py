"""The reference is right, and the comparison built on it can fail."""

import itertools
import math
import struct

import pytest
import torch
from cases import CASES
from comparison import assert_matches, compare
from conv_case import ConvCase
from dynamic_reference import choose_quantization_params, dynamic_conv
from random_cases import random_case
from reference import (
    ConvGeometry,
    Expected,
    float_conv,
    integers,
    quantized_conv,
    real_conv,
    weight_scales,
)
from torch import Tensor

PLAIN = ConvGeometry(stride=(1,), padding=(0,), dilation=(1,))


def quantized(values: list[int], shape: tuple[int, ...], scale: float, zero_point: int) -> Tensor:
    return torch._make_per_tensor_quantized_tensor(
        torch.tensor(values, dtype=torch.uint8).reshape(shape), scale, zero_point
    )


def qint8(
    values: list[int],
    shape: tuple[int, ...],
    scales: list[float],
    zero_points: list[int],
    axis: int,
) -> Tensor:
    return torch._make_per_channel_quantized_tensor(
        torch.tensor(values, dtype=torch.int8).reshape(shape),
        torch.tensor(scales, dtype=torch.float64),
        torch.tensor(zero_points),
        axis,
    )


def test_hand_computed_forward_convolution() -> None:
    x = quantized([12, 7, 10], (1, 1, 3), scale=0.5, zero_point=10)  # 2, -3, 0
    weight = qint8([4, -1, 0, 2], (2, 1, 2), [0.25, 2.0], [1, -1], axis=0)  # 3, -2 and 1, 3
    bias = torch.tensor([1.0, -2.0])
    geometry = ConvGeometry(stride=(2,), padding=(1,), dilation=(1,))
    # Padded input 0 2 -3 0 0 at positions 0 and 2: sums -4, -9 and 6, -3.
    expected = torch.tensor([[[0.5, -0.125], [4.0, -5.0]]], dtype=torch.float64)
    assert torch.equal(real_conv(x, weight, bias, geometry), expected)
    result = quantized_conv(x, weight, bias, geometry, output_scale=0.25, output_zero_point=3)
    # -0.125 is half a quantum from zero, and rounds to the even 0; -20 is clamped.
    assert result.quantized.tolist() == [[[5, 3], [19, 0]]]
    relu = quantized_conv(x, weight, bias, geometry, 0.25, 3, relu=True)
    assert relu.quantized.tolist() == [[[5, 3], [19, 3]]]


def test_hand_computed_transposed_convolution_shares_scales_between_groups() -> None:
    x = quantized([1, 2, 3, 4], (1, 2, 2), scale=1.0, zero_point=0)
    weight = qint8([1, 10, 2, 20], (2, 2, 1), [1.0, 0.5], [0, 0], axis=1)
    geometry = ConvGeometry((2,), (0,), (1,), groups=2, transposed=True, output_padding=(1,))
    assert weight_scales(weight, geometry).tolist() == [1.0, 0.5, 1.0, 0.5]
    rows = [[1, 0, 2, 0], [5, 0, 10, 0], [6, 0, 8, 0], [30, 0, 40, 0]]
    assert real_conv(x, weight, None, geometry).tolist() == [rows]


def test_sums_above_float32_precision_are_exact() -> None:
    channels = 1000
    x = quantized([255] * channels, (1, channels, 1), 1.0, 0)
    weight = qint8([-128] * channels, (1, channels, 1), [1.0], [127], axis=0)
    assert float_conv(integers(x), integers(weight), PLAIN).item() == 255 * -255 * channels


@pytest.mark.parametrize("case", [c for c in CASES if c.batch][::3], ids=str)
def test_agrees_with_float_convolution_of_dequantized_tensors(case: ConvCase) -> None:
    data = case.data()
    assert tuple(data.weight.shape) == case.weight_shape
    ours = real_conv(data.activation, data.weight, data.bias, data.geometry)
    theirs = float_conv(
        data.activation.dequantize().double(), data.weight.dequantize().double(), data.geometry
    )
    if data.bias is not None:
        theirs = theirs + data.bias.double().reshape(1, -1, *[1] * case.dims)
    assert tuple(ours.shape) == (case.batch, case.out_channels, *case.output_size)
    # dequantize() rounds its products to float32.
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6 * float(ours.abs().max()))


@pytest.mark.parametrize("case", [c for c in CASES if c.batch][::5], ids=str)
def test_cases_fill_the_output_range(case: ConvCase) -> None:
    data = case.data()
    values = data.expected().quantized
    assert len(set(values.flatten().tolist())) > min(32, values.numel() // 4)
    assert ((values == 0) | (values == 255)).double().mean() <= max(0.1, 2 / values.numel())


def test_cases_repeat_and_random_cases_differ() -> None:
    first, again = CASES[5].data(), CASES[5].data()
    assert torch.equal(first.weight.int_repr(), again.weight.int_repr())
    assert random_case(7) == random_case(7)
    assert len({random_case(seed).settings() for seed in range(200)}) > 190


def test_case_names_are_unique() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


def expected_at(scaled: list[float], zero_point: int = 0, error: float = 0.0) -> Expected:
    values = torch.tensor(scaled, dtype=torch.float64)
    return Expected(values, torch.full_like(values, error), zero_point)


def output(*values: int) -> Tensor:
    return torch.tensor(values, dtype=torch.uint8)


def test_rounding_is_half_to_even_before_the_zero_point_is_added() -> None:
    assert expected_at([0.5, 1.5, 2.5, -0.5], zero_point=1).quantized.tolist() == [1, 3, 3, 1]


def test_comparison_rejects_one_quantum_away_from_a_tie() -> None:
    expected = expected_at([10.3] * 1000)
    actual = torch.full((1000,), 10, dtype=torch.uint8)
    assert_matches(actual, expected)
    actual[17] = 11
    with pytest.raises(AssertionError, match="1 of 1000 outputs are wrong, by up to 1 quanta"):
        assert_matches(actual, expected, margin=1e-3)


def test_comparison_permits_either_side_of_a_tie_but_only_those() -> None:
    expected = expected_at([10.4999, 10.5001])
    for values in itertools.product((10, 11), repeat=2):
        assert compare(output(*values), expected, margin=1e-3).wrong == 0
    assert compare(output(9, 12), expected, margin=1e-3).wrong == 2
    assert compare(output(11, 10), expected, margin=1e-5).wrong == 2
    assert compare(output(11, 10), expected_at([10.4999, 10.5001], error=1e-3)).wrong == 0


def test_comparison_never_permits_two_quanta() -> None:
    assert compare(output(12), expected_at([10.0]), margin=5.0).wrong == 1


def test_comparison_rejects_a_bias_made_of_permitted_ties() -> None:
    expected = expected_at([10.4999] * 200)
    difference = compare(torch.full((200,), 11, dtype=torch.uint8), expected, margin=1e-3)
    assert (difference.wrong, difference.mean) == (0, 1.0)
    assert not difference.acceptable


def test_comparison_rejects_another_shape() -> None:
    with pytest.raises(AssertionError, match="output shape"):
        compare(output(1, 2), expected_at([1.0]))


def float32(value: float) -> float:
    return float(struct.unpack("f", struct.pack("f", value))[0])


@pytest.mark.parametrize("reduce_range", [False, True])
@pytest.mark.parametrize(
    ("low", "high"),
    [(0.0, 0.0), (-1.0, 1.0), (0.25, 3.0), (-3.0, -0.25), (0.0, 1e-6), (-1e-6, 2e-6), (-1e30, 1.0)]
    + [(-math.exp(i / 7), math.exp(i / 5 - 3)) for i in range(-20, 20)],
)
def test_quantization_params_equal_torch(low: float, high: float, reduce_range: bool) -> None:
    low, high = float32(low), float32(high)
    scale, zero_point = torch._choose_qparams_per_tensor(torch.tensor([low, high]), reduce_range)
    assert choose_quantization_params(low, high, reduce_range) == (scale, zero_point)


def test_dynamic_output_exceeds_the_range_of_its_input() -> None:
    x = torch.ones(1, 16, 1)
    weight = qint8([100] * 16, (1, 16, 1), [0.1], [0], axis=0)
    assert dynamic_conv(x, weight, None, PLAIN).item() == pytest.approx(160.0, rel=1e-6)
