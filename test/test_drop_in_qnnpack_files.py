"""Files of objects that PyTorch's engine qnnpack packed, loaded by every engine in drop-in mode.

QNNPACK takes what other engines of PyTorch's refuse (transposed weights per channel, with zero
points), and saves a bias of zeros where there was none.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import ops
import pytest
import torch
from comparison import assert_matches
from conv_case import ConvCase, ConvData
from torch import Tensor, nn

import torch_qconv_prepack as qconv
from torch_qconv_prepack.checkpoint import migrate, read

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning"),
]

PLAIN = ConvCase("conv2d", in_channels=6, out_channels=10, groups=2, padding=(2,), stride=(2, 1))
CASES = (
    PLAIN,
    PLAIN.but(name="zero-points", weight_zero_points=True, full_range=True),
    PLAIN.but(name="per-channel", weight_zero_points=True, per_channel=True, bias=False),
    PLAIN.but(name="depthwise", in_channels=10, groups=10, weight_zero_points=True),
    ConvCase("conv1d", dims=1, padding=(1,), weight_zero_points=True, per_channel=True),
    ConvCase(
        "conv_transpose2d", transposed=True, out_channels=5, stride=(2,), output_padding=(1,),
        weight_zero_points=True, per_channel=True, bias=False,
    ),
    ConvCase("conv_transpose1d", dims=1, transposed=True, weight_zero_points=True, bias=False),
)  # fmt: skip


class Layer(nn.Module):
    def __init__(self, params: Any) -> None:
        super().__init__()
        self.params = params


def through_torch_save(params: Any) -> Callable[[], Any]:
    buffer = io.BytesIO()
    torch.save(params, buffer)
    return lambda: torch.load(io.BytesIO(buffer.getvalue()), weights_only=False)


def through_torchscript(params: Any) -> Callable[[], Any]:
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(Layer(params)), buffer)
    return lambda: torch.jit.load(io.BytesIO(buffer.getvalue())).params


def with_zero_point(data: ConvData, zero_point: int) -> ConvData:
    """Data with another zero point of the activation."""
    x = data.activation
    moved = torch._make_per_tensor_quantized_tensor(x.int_repr(), x.q_scale(), zero_point)
    return replace(data, activation=moved)


def stored_bias(case: ConvCase, data: ConvData) -> Tensor:
    return torch.zeros(case.out_channels) if data.bias is None else data.bias


@pytest.mark.parametrize("save", [through_torch_save, through_torchscript])
@ops.on_engines(CASES)
def test_files_load_and_run(
    case: ConvCase, engine: str, save: Callable[[Any], Callable[[], Any]]
) -> None:
    data = ops.supported(case, engine).data()
    with ops.stock_engine("qnnpack"):
        load = save(ops.stock_pack(data, "qnnpack"))
        with qconv.enabled(engine):
            params = load()
    assert qconv.describe(params).engine == engine
    weight, bias = params.unpack()
    assert torch.equal(weight.int_repr().flatten(), data.weight.int_repr().flatten())
    assert bias is not None
    assert torch.equal(bias, stored_bias(case, data))
    for zero_point in (0, 3, 128, 255):  # QNNPACK's own would keep the first one
        moved = with_zero_point(data, zero_point)
        assert_matches(ops.stock_run(moved, params), moved.expected(engine=engine))


@ops.on_engines(CASES)
def test_files_are_read_and_migrated(case: ConvCase, engine: str, tmp_path: Path) -> None:
    data = ops.supported(case, engine).data()
    torch.save(ops.stock_pack(data, "qnnpack"), tmp_path / "old.pth")
    (record,) = read(tmp_path / "old.pth")
    assert record.bias is not None
    assert torch.equal(record.bias, stored_bias(case, data))
    with qconv.engine(engine):
        (migration,) = migrate(tmp_path / "old.pth", tmp_path / "new.safetensors")
        assert migration.status == "migrated"
        (again,) = read(tmp_path / "new.safetensors")
        assert_matches(ops.run(data, again.pack()), data.expected(engine=engine))
