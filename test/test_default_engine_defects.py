"""What PyTorch's default engine (x86) and its onednn get wrong, and this package's right."""

from __future__ import annotations

import pytest
import torch
from comparison import assert_matches, compare
from conv_case import ConvCase
from ops import ENGINES, named, op, pack, run, stock_engine, stock_pack, stock_run

stock_engines = pytest.mark.parametrize("engine", ["x86", "onednn"])
# Ours of that name, and the default.
ours = [None, "x86", *(["onednn"] if "onednn" in ENGINES else [])]

TRANSPOSED = (
    ConvCase("2d", transposed=True, in_channels=64, out_channels=128, kernel=(4,), stride=(2,)),
    ConvCase("1d", dims=1, transposed=True, in_channels=16, out_channels=32, input_size=(9,)),
    ConvCase("3d", dims=3, transposed=True, in_channels=16, out_channels=8, input_size=(4,)),
    ConvCase("groups", transposed=True, in_channels=32, out_channels=48, groups=2),
)


@stock_engines
@pytest.mark.parametrize("case", **named(TRANSPOSED))
def test_transposed_with_other_output_channels(case: ConvCase, engine: str) -> None:
    data = case.data()
    stock = compare(stock_run(data, stock_pack(data, engine)), data.expected())
    assert stock.worst > 50
    for name in ours:
        params = pack(data, name)
        assert_matches(run(data, params), data.expected(engine=params.engine()))


@stock_engines
@pytest.mark.parametrize("first", ["", "_relu"], ids=["plain-first", "relu-first"])
def test_one_object_under_both_ops(engine: str, first: str) -> None:
    data = ConvCase("both", in_channels=16, out_channels=24, padding=(1,), per_channel=True).data()
    second = "" if first else "_relu"
    expected = data.expected(relu=bool(second))
    packed = stock_pack(data, engine)
    stock_run(data, packed, first)
    assert compare(stock_run(data, packed, second), expected).worst > 50
    for name in ours:
        params = pack(data, name)
        run(data, params, first)
        expected = data.expected(relu=bool(second), engine=params.engine())
        assert_matches(run(data, params, second), expected)


@stock_engines
def test_a_bias_with_strides(engine: str) -> None:
    data = ConvCase("bias", in_channels=8, out_channels=16).data()
    assert data.bias is not None
    strided = torch.stack([data.bias, data.bias + 100], dim=1)[:, 0]
    assert not strided.is_contiguous()
    arguments = (data.weight, strided, [1, 1], [0, 0], [1, 1], 1)
    with stock_engine(engine):
        stock = op("conv2d_prepack", "quantized")(*arguments)
    assert compare(stock_run(data, stock), data.expected()).worst > 10
    for name in ours:
        params = op("conv2d_prepack")(*arguments, engine=name)
        assert_matches(run(data, params), data.expected(engine=params.engine()))


def test_stock_adds_under_one_engine_only() -> None:
    data = ConvCase("add", in_channels=8, padding=(1,)).data()
    addend = torch._make_per_tensor_quantized_tensor(
        torch.zeros(1, 8, 6, 6, dtype=torch.uint8), 0.1, 0
    )
    for engine in ("x86", "fbgemm", "qnnpack"):
        packed = stock_pack(data, engine)
        with stock_engine(engine), pytest.raises(RuntimeError):
            op("conv2d_add", "quantized")(data.activation, addend, packed, 0.1, 0)
