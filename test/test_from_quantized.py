"""Objects that PyTorch's prepack ops made, of every kind and engine, are packed anew."""

from __future__ import annotations

import resource

import ops
import pytest
import torch
from bad_input import assert_raises, message
from cases import feature_cases
from comparison import assert_matches
from conv_case import ConvCase
from packed_examples import EXAMPLES, assert_same_params, every_example

import torch_qconv_prepack as qconv

STOCK_ENGINES = ("fbgemm", "qnnpack", "onednn", "x86")


def stock_can_pack_and_unpack(case: ConvCase, engine: str) -> bool:
    if engine == "qnnpack":
        return case.dims < 3  # its 3-D objects cannot be unpacked
    if case.transposed and case.per_channel:
        return False
    return engine != "onednn" or not (case.weight_zero_points or any(case.output_padding))


CASES = [
    pytest.param(case, engine, id=f"{engine}-{case}")
    for case in (*feature_cases(), *EXAMPLES)
    for engine in STOCK_ENGINES
    if stock_can_pack_and_unpack(case, engine)
]


@pytest.mark.parametrize(("case", "engine"), CASES)
def test_stock_object_is_packed_anew(case: ConvCase, engine: str) -> None:
    data = case.data()
    stock = ops.stock_pack(data, engine)
    params = qconv.from_quantized(stock)
    assert params.engine() in ops.ENGINES

    weight, bias = params.unpack()
    stock_weight, stock_bias = stock.unpack()
    assert torch.equal(weight, stock_weight)
    assert torch.equal(weight.int_repr(), ops.pack(data).weight().int_repr())
    assert bias is None if stock_bias is None else torch.equal(bias, stock_bias)
    for name in ("stride", "padding", "output_padding", "dilation", "groups", "transpose"):
        assert getattr(params, name)() == getattr(stock, name)(), name
    # Not the stock object's output: some of its engines are wrong for some of these.
    assert_matches(ops.run(data, params), data.expected())


def test_every_kind_and_engine_is_in_the_table() -> None:
    found = {(engine, case.dims, case.transposed) for case, engine in (p.values for p in CASES)}
    kinds = {(dims, transposed) for dims in (1, 2, 3) for transposed in (False, True)}
    all_pairs = {(engine, *kind) for engine in STOCK_ENGINES for kind in kinds}
    assert found == all_pairs - {("qnnpack", 3, False), ("qnnpack", 3, True)}


def test_bias_of_zeros_that_qnnpack_makes_up_stays() -> None:
    data = ConvCase("plain", bias=False).data()
    params = qconv.from_quantized(ops.stock_pack(data, "qnnpack"))
    assert params.bias().tolist() == [0.0] * 8


def test_object_that_stock_cannot_unpack_is_refused() -> None:
    stock = ops.stock_pack(EXAMPLES[2].data(), "qnnpack")
    assert_raises(NotImplementedError, "from_quantized: ", lambda: qconv.from_quantized(stock))


def test_object_of_a_height_that_does_nothing_runs_as_1d_and_2d() -> None:
    data = ConvCase("conv1d", dims=1).data()
    params = qconv.from_quantized(ops.stock_pack(data, "fbgemm"))
    y = ops.run(data, params)
    x = data.activation.unsqueeze(2)
    y_2d = ops.op("conv2d")(x, params, data.output_scale, data.output_zero_point)
    assert torch.equal(y_2d.squeeze(2).int_repr(), y.int_repr())


def test_object_of_a_height_that_counts_runs_as_2d_only() -> None:
    params = qconv.from_quantized(ops.stock_pack(ConvCase("conv2d").data(), "fbgemm"))
    start = "conv1d: packed params must come from the prepack op of the same kind"
    data = ConvCase("conv1d", dims=1).data()
    assert_raises(ValueError, start, lambda: ops.run(data, params))


@every_example
def test_own_object_in_stocks_guise_comes_back_as_itself(case: ConvCase) -> None:
    data = case.data()
    params = ops.pack(data)
    guise = params.as_quantized()
    for engine in (None, params.engine()):
        back = qconv.from_quantized(guise, engine)
        assert back._type() == params._type()
        assert_same_params(back, params, data)


def test_own_object_comes_back_without_a_copy() -> None:
    case = ConvCase("large", in_channels=512, out_channels=512, input_size=(3,))
    params = ops.pack(case.data())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    kept = [qconv.from_quantized(params.as_quantized()) for _ in range(100)]
    growth = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before  # KiB
    assert growth * 1024 < 10 * params.nbytes() < len(kept) * params.nbytes()


def test_other_things_are_refused() -> None:
    ones = torch._make_per_tensor_quantized_tensor(torch.ones(2, 2, dtype=torch.int8), 1.0, 0)
    linear = torch.ops.quantized.linear_prepack(ones, None)
    own = ops.pack(EXAMPLES[0].data())
    for value, name in (
        (None, "NoneType"),
        (ones, "Tensor"),
        (linear, "quantized.LinearPackedParamsBase"),
        (own, "torch_qconv_prepack.Conv2dPackedParams"),
    ):
        text = message(TypeError, lambda v=value: qconv.from_quantized(v))
        assert text == (
            "from_quantized: params must be a quantized.Conv2dPackedParamsBase or "
            f"quantized.Conv3dPackedParamsBase, got {name}"
        )


def test_unknown_engine_is_refused() -> None:
    stock = ops.stock_pack(EXAMPLES[1].data(), "fbgemm")
    for params in (stock, ops.pack(EXAMPLES[1].data()).as_quantized()):
        start = "from_quantized: engine must be one of auto, "
        assert_raises(ValueError, start, lambda p=params: qconv.from_quantized(p, engine="x"))
