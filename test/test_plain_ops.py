"""qconv_prepack and qconv_pointwise: the reference's numbers, and PyTorch's."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from conv_case import ConvCase
from plain_call import FLOATS, FUNCTIONS, PYTORCH_FUNCTIONS, PlainCall
from torch import Tensor

import torch_qconv_prepack as qconv

# Swish and hardswish shrink their input, and hardtanh clamps it: outputs fill less of the range.
BASE = ConvCase("2d", in_channels=19, out_channels=24, padding=(1,), per_channel=True)
ONE = {"kernel": (3,), "stride": (2,), "padding": (1,), "output_padding": (0,), "dilation": (1,)}
THREE = {name: value * 3 for name, value in ONE.items()}
CASES = (
    BASE,
    BASE.but(name="1d", dims=1, input_size=(31,), **ONE),
    BASE.but(name="3d", dims=3, input_size=(5, 4, 6), **THREE),
    BASE.but(name="per_tensor-zero_point", per_channel=False, weight_zero_points=True, bias=False),
    BASE.but(name="per_channel-zero_points", weight_zero_points=True),
    BASE.but(name="depthwise", in_channels=24, groups=24, full_range=True),
    BASE.but(name="groups-dilation", in_channels=18, groups=6, dilation=(2,)),
    BASE.but(name="batch0", batch=0),
)
DTYPES = (torch.uint8, torch.int8, *FLOATS, None)
every_case = pytest.mark.parametrize("case", CASES, ids=str)
every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)
every_attr = pytest.mark.parametrize("attr", FUNCTIONS)


# How far the native engine may be from float64 before it rounds, in quanta (docs/native.md).
NATIVE_MARGIN = 2e-3


def assert_is(actual: Tensor, call: PlainCall, real: Tensor, engine: str = "native") -> None:
    """An output of an engine holds these real numbers."""
    assert actual.dtype == (call.output_dtype or torch.uint8)
    assert actual.shape == real.shape
    if actual.numel() == 0:
        return
    if engine in ("native", "auto"):
        if call.output_dtype in FLOATS:
            # Half the distance between neighbouring numbers, relative to the smaller one; bfloat16
            # is rounded from float32. What functions' polynomials leave out is far below.
            half = 2.0**-24 + (2.0**-8 if call.output_dtype == torch.bfloat16 else 0)
            error = (actual.double() - real).abs()
            assert bool((error <= real.abs() * (half + 1e-9) + 1e-12).all())
        else:
            reach = NATIVE_MARGIN * call.output_quantization[0]
            values = actual.long()
            assert bool((values >= call.quantized(real - reach)).all())
            assert bool((values <= call.quantized(real + reach)).all())
    elif call.output_dtype in FLOATS:
        # bfloat16 keeps 8 bits; float32 sums of several roundings, relative to the largest number.
        bits = 8 if call.output_dtype == torch.bfloat16 else 20
        tolerance = 2.0**-bits * float(real.abs().max())
        torch.testing.assert_close(actual.double(), real, rtol=0, atol=tolerance)
    else:
        error = actual.long() - call.quantized(real)
        assert int(error.abs().max()) <= 1
        # Not an element more than those near a tie.
        assert abs(float(error.double().mean())) < max(0.01, 1.5 / error.numel())


@every_attr
@every_dtype
@every_case
def test_run_equals_the_reference(case: ConvCase, dtype: torch.dtype | None, attr: str) -> None:
    call = PlainCall(case.data(), attr, dtype)
    weight = call.prepack()
    unsigned = call.run(weight)
    assert_is(unsigned, call, call.real())
    signed = call.but(signed_input=True)
    assert torch.equal(signed.run(weight), unsigned)


@pytest.mark.parametrize("attr", PYTORCH_FUNCTIONS)
@every_dtype
@pytest.mark.parametrize("case", [c for c in CASES if not c.weight_zero_points], ids=str)
def test_run_equals_pytorch(case: ConvCase, dtype: torch.dtype | None, attr: str) -> None:
    if case.dims != 2 and attr not in ("none", "relu"):
        pytest.skip("PyTorch has this attr for 2-D only")
    if case.dims == 3 and attr == "relu":
        pytest.skip("PyTorch has no function for 3-D")
    call = PlainCall(case.data(), attr, dtype)
    ours, stock = call.run(call.prepack()), call.run(call.prepack("onednn"), "onednn")
    assert (ours.dtype, ours.shape) == (stock.dtype, stock.shape)
    if ours.numel():
        assert ours.stride() == stock.stride()
        if dtype not in FLOATS:
            assert int((ours.long() - stock.long()).abs().max()) <= 1


@every_attr
@every_dtype
@pytest.mark.parametrize("engine", [e.name for e in qconv.engines() if e.available])
def test_every_engine_equals_the_reference(
    engine: str, dtype: torch.dtype | None, attr: str
) -> None:
    """The engine is the default at prepacking."""
    call = PlainCall(BASE.data(), attr, dtype)
    with qconv.engine(engine):
        weight = call.prepack()
    assert_is(call.run(weight), call, call.real(), engine)


def test_threads_share_weights() -> None:
    calls = [
        PlainCall(BASE.but(seed=seed).data(), attr) for seed in (0, 1) for attr in PYTORCH_FUNCTIONS
    ]
    weights = [call.prepack() for call in calls]
    expected = [call.run(weight.clone()) for call, weight in zip(calls, weights, strict=True)]

    def work(thread: int) -> None:
        for i in range(60):
            index = (thread + i) % len(calls)
            assert torch.equal(calls[index].run(weights[index]), expected[index])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))


def test_pytorch_ignores_weight_zero_points() -> None:
    call = PlainCall(BASE.but(weight_zero_points=True, full_range=True).data())
    ours, stock = call.run(call.prepack()), call.run(call.prepack("onednn"), "onednn")
    assert_is(ours, call, call.real())
    assert int((ours.long() - stock.long()).abs().max()) > 10


def test_weight_may_be_copied_saved_and_written_to() -> None:
    call = PlainCall(BASE.data())
    weight = call.prepack()
    expected = call.run(weight)
    assert weight.dtype == torch.int8
    assert torch.equal(weight, call.data.weight.int_repr())
    assert torch.equal(call.run(weight.clone()), expected)
    assert torch.equal(call.run(call.data.weight.int_repr()), expected)
    weight.zero_()
    assert not torch.equal(call.run(weight), expected)
    weight.copy_(call.data.weight.int_repr())
    assert torch.equal(call.run(weight), expected)
    # PyTorch doesn't count this one.
    weight.data.zero_()
    assert not torch.equal(call.run(weight), expected)


def test_one_weight_runs_with_other_scales_bias_and_lists() -> None:
    call = PlainCall(BASE.data())
    weight = call.prepack()
    for _ in range(2):
        for change in ({"seed": 1}, {"stride": (2,)}, {"padding": (0,)}, {"bias": False}):
            case = BASE.but(**{"stride": (1,) * 2, "padding": (1,) * 2, **change})
            data = case.data()
            other = PlainCall(
                type(data)(
                    data.activation, call.data.weight, data.bias, data.geometry,
                    data.output_scale, data.output_zero_point,
                )
            )  # fmt: skip
            assert_is(other.run(weight), other, other.real())
