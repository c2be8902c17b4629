"""What PyTorch's qnnpack engine gets wrong, and this package's right."""

from dataclasses import replace

import pytest
import torch
from comparison import assert_matches, compare
from conv_case import ConvCase, ConvData
from ops import op, pack, run, stock_pack, stock_run

CONV = ConvCase("conv", in_channels=8, out_channels=6, padding=(1,))
PADDED = (
    CONV,
    ConvCase("depthwise", in_channels=16, out_channels=16, groups=16, padding=(1,)),
    ConvCase("conv3d", dims=3, in_channels=8, padding=(1,)),
    ConvCase("transposed", transposed=True, in_channels=8, stride=(2,), padding=(1,)),
)
padded = pytest.mark.parametrize("case", PADDED, ids=[case.name for case in PADDED])


def requantized(data: ConvData, scale: float, zero_point: int) -> ConvData:
    """The same integers as an input of another scale and zero point."""
    integers = data.activation.int_repr()
    x = torch._make_per_tensor_quantized_tensor(integers, scale, zero_point)
    return replace(data, activation=x)


def assert_ours_is_right(data: ConvData, first: ConvData | None = None) -> None:
    params = pack(data, "qnnpack")
    if first is not None:
        run(first, params)
    assert_matches(run(data, params), data.expected(engine="qnnpack"))


def stock_worst(data: ConvData, first: ConvData | None = None) -> int:
    params = stock_pack(data, "qnnpack")
    if first is not None:
        stock_run(first, params)
    return compare(stock_run(data, params), data.expected(engine="qnnpack")).worst


@padded
def test_stock_forgets_a_new_zero_point(case: ConvCase) -> None:
    data = case.data()
    first, second = (requantized(data, 0.05, zero_point) for zero_point in (3, 128))
    assert stock_worst(second, first) > 10
    assert_ours_is_right(second, first)


@padded
def test_stock_forgets_a_new_output_scale(case: ConvCase) -> None:
    first = case.data()
    second = replace(first, output_scale=3 * first.output_scale)
    assert stock_worst(second, first) > 10
    assert_ours_is_right(second, first)


def test_any_number_of_input_scales() -> None:
    data = CONV.data()
    params = pack(data, "qnnpack")
    for i in (*range(12), *range(12)):
        other = requantized(data, 0.01 * 1.3**i, 20 * i)
        assert_matches(run(other, params), other.expected(engine="qnnpack"))


def test_packings_for_other_scales_are_dropped() -> None:
    data = CONV.data()
    params = pack(data, "qnnpack")
    once = params.nbytes()
    for i in range(20):
        run(requantized(data, 0.01 * 1.1**i, 5), params)
        assert params.nbytes() <= 4 * once
    assert torch.equal(params.unpack()[0].int_repr(), data.weight.int_repr())


@pytest.mark.parametrize("per_channel", [False, True])
def test_stock_has_no_transposed_3d_kernel(per_channel: bool) -> None:
    case = ConvCase("up", dims=3, transposed=True, in_channels=8, input_size=(4,), stride=(2,))
    data = case.but(per_channel=per_channel).data()
    assert stock_worst(data) > 10
    assert_ours_is_right(data)


def test_stock_reads_past_the_scales_of_transposed_groups() -> None:
    # PyTorch's op isn't run: whatever lies behind its scales decides whether it refuses.
    for groups in (2, 4, 8):
        case = ConvCase("groups", transposed=True, in_channels=8, out_channels=40, groups=groups)
        assert_ours_is_right(case.but(per_channel=True, weight_zero_points=True).data())


def test_stock_returns_a_bias_where_there_is_none() -> None:
    data = CONV.but(bias=False).data()
    _, stock_bias = stock_pack(data, "qnnpack").unpack()
    _, our_bias = pack(data, "qnnpack").unpack()
    assert stock_bias is not None
    assert our_bias is None


def test_stock_takes_later_changes_of_the_bias() -> None:
    data = CONV.data()
    assert data.bias is not None
    ours, stock = (packs(data, "qnnpack") for packs in (pack, stock_pack))
    expected = data.expected(engine="qnnpack")
    data.bias.add_(1000 * data.output_scale)
    assert compare(stock_run(data, stock), expected).worst > 10
    assert_matches(run(data, ours), expected)


def test_stock_cannot_unpack_3d() -> None:
    data = ConvCase("conv3d", dims=3).data()
    with pytest.raises(RuntimeError, match="only supports conv2d_unpack"):
        op("conv3d_unpack", "quantized")(stock_pack(data, "qnnpack"))
    weight, _ = op("conv3d_unpack")(pack(data, "qnnpack"))
    assert torch.equal(weight.int_repr(), data.weight.int_repr())


def flat(value: int, scale: float, bias: float | None, output_scale: float) -> ConvData:
    """A 1x1 convolution whose weights are all 100, of an input that is `value` everywhere."""
    weight = torch._make_per_tensor_quantized_tensor(
        torch.full((8, 16, 1, 1), 100, dtype=torch.int8), 1.0, 0
    )
    x = torch._make_per_tensor_quantized_tensor(
        torch.full((1, 16, 2, 2), value, dtype=torch.uint8), scale, 0
    )
    biases = None if bias is None else torch.full((8,), bias)
    return ConvData(x, weight, biases, ConvCase("1x1", kernel=(1,)).geometry, output_scale, 3)


BEYOND = {
    "values": flat(10, 1.0, None, 1e-6),
    "bias": flat(0, 0.001, 1e8, 1e6),
    "rounded bias": flat(0, 1.0, 0.49, 0.01),
}


@pytest.mark.parametrize("name", BEYOND)
def test_stock_is_wrong_beyond_what_its_numbers_hold(name: str) -> None:
    assert stock_worst(BEYOND[name]) > 10
    assert_ours_is_right(BEYOND[name])
