"""Convolution plus a quantized tensor, and signed activations, on every engine."""

import pytest
import torch
from bad_input import CONV2D, Kind, assert_raises, every_kind, quint8
from comparison import assert_matches
from conv_case import ConvCase
from ops import kind, on_engines, op, pack, run, supported
from signed import SHIFT, signed_copy, unsigned
from sums import addend_of, expected_sum

signs = pytest.mark.parametrize("signed", [False, True], ids=["quint8", "qint8"])

DENSE = ConvCase("dense", in_channels=19, out_channels=24, padding=(1,), per_channel=True)
CASES = (
    DENSE,
    DENSE.but(name="depthwise", in_channels=24, groups=24, weight_zero_points=True),
    DENSE.but(name="1d", dims=1, input_size=(31,), kernel=(3,), stride=(1,), padding=(1,),
              output_padding=(0,), dilation=(1,)),
    DENSE.but(name="3d", dims=3, input_size=(4,) * 3, kernel=(3,) * 3, stride=(2,) * 3,
              padding=(1,) * 3, output_padding=(0,) * 3, dilation=(1,) * 3),
    ConvCase("transposed", transposed=True, in_channels=12, out_channels=8, stride=(2,)),
    ConvCase("full-range", in_channels=16, padding=(1,), full_range=True, batch=2),
    ConvCase("batch0", batch=0),
)  # fmt: skip


@on_engines(CASES)
@signs
@pytest.mark.parametrize("relu", [False, True], ids=["add", "add_relu"])
def test_adds_before_the_relu(case: ConvCase, relu: bool, signed: bool, engine: str) -> None:
    data = supported(case, engine).data()
    addend = addend_of(data, seed=3)
    before = addend.clone()
    name = kind(case.dims, case.transposed) + ("_add_relu" if relu else "_add")
    arguments = (signed_copy(addend) if signed else addend, pack(data, engine), data.output_scale)
    y = op(name)(data.activation, *arguments, data.output_zero_point)
    assert_matches(y, expected_sum(data, addend, relu, engine))
    assert torch.equal(addend.int_repr(), before.int_repr())
    # A channels-last addend lies in memory as the output does: it must not be written to either.
    if case.dims == 2:
        last = arguments[0].contiguous(memory_format=torch.channels_last)
        again = op(name)(data.activation, last, *arguments[1:], data.output_zero_point)
        assert torch.equal(again.int_repr(), y.int_repr())
        assert torch.equal(last.int_repr(), arguments[0].int_repr())


@on_engines(CASES)
def test_signed_activations_give_the_same_numbers(case: ConvCase, engine: str) -> None:
    data = supported(case, engine).data()
    params = pack(data, engine)
    x = signed_copy(data.activation)
    for suffix in ("", "_relu"):
        plain = run(data, params, suffix)
        y = op(kind(case.dims, case.transposed) + suffix)(
            x, params, data.output_scale, data.output_zero_point - SHIFT
        )
        assert y.dtype == torch.qint8
        assert y.q_zero_point() == data.output_zero_point - SHIFT
        assert torch.equal(unsigned(y), plain.int_repr())


@every_kind
@pytest.mark.parametrize("suffix", ["_add", "_add_relu"])
def test_addend_has_the_outputs_size(kind: Kind, suffix: str) -> None:
    params, x = kind.prepack(), quint8(kind.input_shape)
    shape = list(kind.output_shape)
    for wrong in ([*shape[:-1], 1], [2, *shape[1:]], [1, 1, *shape[2:]], shape[1:]):
        start = f"{kind}{suffix}: qaccum must have the output's size {shape}, got {wrong}"
        addend = quint8(wrong)
        assert_raises(
            ValueError, start, lambda a=addend: op(f"{kind}{suffix}")(x, a, params, 0.1, 3)
        )


def test_addend_is_a_quantized_tensor() -> None:
    params, x = CONV2D.prepack(), quint8(CONV2D.input_shape)
    for dtype in (torch.float32, torch.uint8):
        start = f"conv2d_add: qaccum must have dtype torch.quint8 or torch.qint8, got {dtype}; "
        addend = torch.ones(CONV2D.output_shape, dtype=dtype)
        assert_raises(TypeError, start, lambda a=addend: op("conv2d_add")(x, a, params, 0.1, 3))
