"""Every op gives the float64 reference's result, on every engine."""

import pytest
import torch
from cases import CASES
from comparison import assert_matches
from conv_case import ConvCase
from dynamic_reference import dynamic_conv, dynamic_tolerance, quantize_dynamic_input
from ops import ENGINES, kind, on_engines, op, pack, run, supported
from random_cases import random_case, special_case

engines = pytest.mark.parametrize("engine", ENGINES)


def check(case: ConvCase, engine: str) -> None:
    data = supported(case, engine).data()
    params = pack(data, engine)
    plain = run(data, params)
    assert_matches(plain, data.expected(engine=engine))
    # One object serves both ops.
    assert_matches(run(data, params, "_relu"), data.expected(relu=True, engine=engine))
    assert (plain.q_scale(), plain.q_zero_point()) == (data.output_scale, data.output_zero_point)


@on_engines(CASES)
def test_run_ops_equal_the_reference(case: ConvCase, engine: str) -> None:
    check(case, engine)


@engines
@pytest.mark.parametrize("first_seed", range(0, 400, 50))
def test_random_shapes_equal_the_reference(first_seed: int, engine: str) -> None:
    for seed in range(first_seed, first_seed + 50):
        for case in (random_case(seed), special_case(seed)):
            try:
                check(case, engine)
            except AssertionError as error:
                raise AssertionError(f"{case.name}: {case.settings()}: {error}") from error


@on_engines(CASES[::3])
@pytest.mark.parametrize("reduce_range", [False, True])
def test_dynamic_ops_return_the_real_numbers(
    case: ConvCase, reduce_range: bool, engine: str
) -> None:
    data = supported(case, engine).data()
    params = pack(data, engine)
    x = data.activation.dequantize() * 3.7  # not on the grid of the scale that will be chosen
    name = kind(case.dims, case.transposed)
    actual = op(f"{name}_dynamic")(x, params, reduce_range)
    expected = dynamic_conv(x, data.weight, data.bias, data.geometry, reduce_range)
    assert actual.dtype == torch.float32
    error = (actual.double() - expected).abs()
    assert bool((error <= dynamic_tolerance(expected, data.bias, engine)).all())


@engines
def test_dynamic_ops_do_not_clamp_to_the_inputs_range(engine: str) -> None:
    weight = torch._make_per_tensor_quantized_tensor(
        torch.full((1, 16, 3, 3), 100, dtype=torch.int8), 0.01, 0
    )
    params = op("conv2d_prepack")(weight, None, [1, 1], [0, 0], [1, 1], 1, engine=engine)
    y = op("conv2d_dynamic")(torch.ones(1, 16, 3, 3), params)
    assert y.item() == pytest.approx(144.0, rel=1e-6)  # PyTorch's op returns 1.0


@engines
def test_the_input_may_lie_in_memory_in_any_order(engine: str) -> None:
    data = ConvCase("strided", in_channels=6, out_channels=5, input_size=(8, 9)).data()
    params = pack(data, engine)
    expected = run(data, params).int_repr()
    x = data.activation
    orders = {
        "channels_last": x.contiguous(memory_format=torch.channels_last),
        "transposed": x.transpose(2, 3).contiguous().transpose(2, 3),
        "every second": torch.cat([x, x], dim=0)[::2],
    }
    for name, view in orders.items():
        y = op("conv2d")(view, params, data.output_scale, data.output_zero_point)
        assert torch.equal(y.int_repr(), expected), name


@engines
def test_one_object_serves_any_size_scale_and_zero_point(engine: str) -> None:
    case = ConvCase("sizes", in_channels=16, out_channels=8, padding=(1,), per_channel=True)
    packed = pack(case.data(), engine)
    for seed, size in enumerate([(3, 9), (12, 4), (1, 1), (3, 9)]):
        data = case.but(input_size=size, batch=1 + seed % 2, seed=seed).data()
        weight_of_first = case.data()
        x = torch._make_per_tensor_quantized_tensor(
            data.activation.int_repr(), 0.01 * (seed + 1), 50 * seed
        )
        same = type(data)(
            x, weight_of_first.weight, weight_of_first.bias, data.geometry, 0.5, 10 * seed
        )
        assert_matches(run(same, packed), same.expected(engine=engine))


def test_dynamic_quantization_chooses_as_pytorch_does() -> None:
    # A 1x1 kernel of value 1 gives the quantized input back.
    weight = torch._make_per_tensor_quantized_tensor(
        torch.ones((1, 1, 1, 1), dtype=torch.int8), 1.0, 0
    )
    params = op("conv2d_prepack")(weight, None, [1, 1], [0, 0], [1, 1], 1)
    for scale in (1e-6, 1.0, 1e6):
        for shift in (-2.0, 0.0, 2.0):
            x = (torch.rand(1, 1, 8, 8) + shift) * scale
            for reduce_range in (False, True):
                expected = quantize_dynamic_input(x, reduce_range).dequantize()
                actual = op("conv2d_dynamic")(x, params, reduce_range)
                torch.testing.assert_close(actual, expected, rtol=1e-6, atol=0)
