"""What PyTorch's fbgemm engine gets wrong, and this package's right."""

import signal
import subprocess
import sys

import pytest
import torch
from comparison import assert_matches, compare
from conv_case import ConvCase, ConvData
from ops import op, pack, run, stock_pack, stock_run
from stock_defects import corrupts_memory

import torch_qconv_prepack as qconv

DEPTHWISE = ConvCase(
    "depthwise", in_channels=16, out_channels=16, groups=16, padding=(1,), full_range=True
)

WRONG = (
    DEPTHWISE,
    DEPTHWISE.but(name="depthwise-5x5", kernel=(5,), padding=(2,)),
    DEPTHWISE.but(name="depthwise-3d", dims=3, input_size=(4,) * 3, kernel=(3,) * 3,
                  stride=(1,) * 3, padding=(1,) * 3, output_padding=(0,) * 3,
                  dilation=(1,) * 3),
    ConvCase("u-net-up-sampling", transposed=True, in_channels=32, out_channels=16, kernel=(2,),
             stride=(2,)),
    ConvCase("height-2-transposed", transposed=True, in_channels=16, out_channels=8,
             kernel=(2, 5), stride=(2,)),
)  # fmt: skip

CRASHING = (
    ConvCase("groups-left-over", in_channels=18, out_channels=18, groups=9, padding=(1,)),
    ConvCase("groups-left-over-of-4", in_channels=20, out_channels=20, groups=5, padding=(1,)),
    ConvCase("groups-left-over-3d", dims=3, in_channels=18, out_channels=18, groups=9,
             padding=(1,)),
    ConvCase("flat-3d-depthwise", dims=3, in_channels=32, out_channels=64, groups=32,
             input_size=(1, 3, 3), kernel=(5, 3, 3), stride=(2,), padding=(2, 1, 1)),
    ConvCase("large-first-layer", in_channels=3, out_channels=5, input_size=(27, 33),
             kernel=(15,), stride=(2,), padding=(7,), batch=3),
)  # fmt: skip


def ids(cases: tuple[ConvCase, ...]) -> list[str]:
    return [case.name for case in cases]


@pytest.mark.parametrize("case", WRONG, ids=ids(WRONG))
def test_stock_is_wrong_and_ours_is_right(case: ConvCase) -> None:
    data = case.data()
    stock = compare(stock_run(data, stock_pack(data, "fbgemm")), data.expected())
    assert stock.worst > 10
    assert_matches(run(data, pack(data, "fbgemm")), data.expected())


@pytest.mark.parametrize("case", CRASHING, ids=ids(CRASHING))
@pytest.mark.parametrize("range_", ["moderate", "full_range"])
def test_ours_is_right_where_stock_corrupts_memory(case: ConvCase, range_: str) -> None:
    # PyTorch's op isn't run: it writes outside its buffers.
    assert corrupts_memory(case)
    for zero_points in (False, True):
        data = case.but(full_range=range_ == "full_range", weight_zero_points=zero_points).data()
        params = pack(data, "fbgemm")
        assert_matches(run(data, params), data.expected())
        assert_matches(run(data, params, "_relu"), data.expected(relu=True))


def test_values_beyond_int32_clamp_to_the_right_end() -> None:
    # 10 * 100 * 16 quanta of 1e-6 are 1.6e10: FBGEMM's conversion to int32 turns them into -2^31.
    weight = torch._make_per_tensor_quantized_tensor(
        torch.full((8, 16, 1, 1), 100, dtype=torch.int8), 1.0, 0
    )
    x = torch._make_per_tensor_quantized_tensor(
        torch.full((1, 16, 2, 2), 10, dtype=torch.uint8), 1.0, 0
    )
    data = ConvData(x, weight, None, ConvCase("1x1", kernel=(1,)).geometry, 1e-6, 3)
    assert int(stock_run(data, stock_pack(data, "fbgemm")).int_repr().max()) == 0
    assert int(run(data, pack(data, "fbgemm")).int_repr().min()) == 255


def test_stock_clamps_dynamic_results_to_the_inputs_range() -> None:
    data = ConvCase("dynamic", in_channels=16).data()
    x = torch.ones(1, 16, 6, 6)
    stock = op("conv2d_dynamic", "quantized")(x, stock_pack(data, "fbgemm"))
    ours = op("conv2d_dynamic")(x, pack(data, "fbgemm"))
    assert float(stock.max()) <= 1.0
    assert float(ours.max()) > 2.0


def test_stock_loses_the_precision_of_scales_and_ours_keeps_it() -> None:
    data = ConvCase("scales", per_channel=True).data()
    scales = data.weight.q_per_channel_scales()
    stock_weight, _ = stock_pack(data, "fbgemm").unpack()
    our_weight, _ = pack(data, "fbgemm").unpack()
    assert not torch.equal(stock_weight.q_per_channel_scales(), scales)
    assert torch.equal(our_weight.q_per_channel_scales(), scales)


def test_stock_loses_the_weight_of_up_sampling_objects() -> None:
    data = WRONG[3].data()
    stock = stock_pack(data, "fbgemm")
    our_weight, _ = op("conv_transpose2d_unpack")(pack(data, "fbgemm"))
    assert torch.equal(our_weight.int_repr(), data.weight.int_repr())

    def stock_returns_the_weight() -> bool:
        # Memory that was freed and not yet used again could by chance still hold the weight.
        blocks = [torch.zeros(data.weight.shape, dtype=torch.int8) for _ in range(64)]
        del blocks
        stock_weight, _ = op("conv_transpose2d_unpack", "quantized")(stock)
        return torch.equal(stock_weight.int_repr(), data.weight.int_repr())

    assert not all(stock_returns_the_weight() for _ in range(10))
    # What PyTorch's object gives back is memory of somebody else's: it must not be packed.
    with pytest.raises(NotImplementedError, match=r"^from_quantized: PyTorch can.t give back"):
        qconv.from_quantized(stock)


def test_stock_refuses_per_channel_transposed_weights() -> None:
    data = ConvCase("per-channel", transposed=True, per_channel=True).data()
    with pytest.raises(RuntimeError, match="disabled for transposed"):
        stock_pack(data, "fbgemm")
    assert_matches(run(data, pack(data, "fbgemm")), data.expected())


@pytest.mark.parametrize(("stride", "groups"), [(0, 1), (1, 0)])
def test_stock_dies_of_a_zero(stride: int, groups: int) -> None:
    program = f"""
import torch
torch.backends.quantized.engine = "fbgemm"
weight = torch._make_per_tensor_quantized_tensor(torch.ones(8, 4, 3, 3, dtype=torch.int8), 0.1, 0)
arguments = weight, None, [{stride}] * 2, [0, 0], [1, 1], {groups}
NAMESPACE.conv2d_prepack(*arguments)
"""
    stock = program.replace("NAMESPACE", "torch.ops.quantized")
    result = subprocess.run([sys.executable, "-W", "ignore", "-c", stock], capture_output=True)
    assert result.returncode == -signal.SIGFPE
    ours = program.replace("NAMESPACE", "import torch_qconv_prepack\ntorch.ops.torch_qconv_prepack")
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ours], capture_output=True, text=True
    )
    assert "ValueError: conv2d_prepack: " in result.stderr
