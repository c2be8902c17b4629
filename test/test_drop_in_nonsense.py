"""What PyTorch computes something of, or dies of, drop-in mode refuses with a reason."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import ops
import pytest
import torch
from bad_input import assert_raises
from conv_case import ConvCase, ConvData
from test_drop_in_defects import packed
from torch import Tensor

import torch_qconv_prepack as qconv


def square(**changes: Any) -> ConvData:
    return replace(ConvCase("square", per_channel=True).data(), **changes)


def along_the_wrong_axis() -> ConvData:
    weight = square().weight
    zeros = torch.zeros(8, dtype=torch.long)
    return square(
        weight=torch._make_per_channel_quantized_tensor(
            weight.int_repr(), weight.q_per_channel_scales(), zeros, 1
        )
    )


def of_bytes() -> ConvData:
    weight = square().weight
    return square(weight=torch._make_per_tensor_quantized_tensor(weight.int_repr().byte(), 0.1, 0))


NONSENSE: dict[str, tuple[Callable[[], ConvData], type[Exception], str]] = {
    "weight along the wrong axis": (along_the_wrong_axis, ValueError, "weight must "),
    "weight of dtype quint8": (of_bytes, TypeError, "weight must "),
    "bias of dtype float64": (
        lambda: square(bias=torch.ones(8, dtype=torch.float64)), TypeError, "bias must "
    ),
    "bias that isn't finite": (
        lambda: square(bias=torch.full((8,), float("nan"))), ValueError, "bias must "
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_is_refused_with_a_reason(name: str) -> None:
    make, error, text = NONSENSE[name]
    data = make()
    with ops.stock_engine("onednn"):
        assert isinstance(ops.stock_run(data, packed(data)), Tensor)
        with qconv.enabled():
            assert_raises(error, f"conv2d_prepack: {text}", lambda: packed(data))


PROGRAM = """
import sys
import torch
torch.backends.quantized.engine = sys.argv[4]
weight = torch._make_per_tensor_quantized_tensor(torch.ones(8, 4, 3, 3, dtype=torch.int8), 0.1, 0)
if sys.argv[1] == "on":
    import torch_qconv_prepack
    torch_qconv_prepack.enable()
stride, groups = int(sys.argv[2]), int(sys.argv[3])
params = torch.ops.quantized.conv2d_prepack(weight, None, [stride] * 2, [0, 0], [1, 1], groups)
x = torch._make_per_tensor_quantized_tensor(torch.ones(1, 4, 6, 6, dtype=torch.uint8), 0.1, 0)
torch.ops.quantized.conv2d(x, params, 0.1, 0)
"""


@pytest.mark.parametrize("engine", ["fbgemm", "qnnpack"])
@pytest.mark.parametrize(("stride", "groups"), [(0, 1), (1, 0)])
def test_a_zero_ends_in_an_error_and_not_in_a_crash(stride: int, groups: int, engine: str) -> None:
    def run(mode: str) -> subprocess.CompletedProcess[str]:
        arguments = [mode, str(stride), str(groups), engine]
        command = [sys.executable, "-W", "ignore", "-c", PROGRAM, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert run("off").returncode < 0
    assert "ValueError: conv2d_prepack: " in run("on").stderr


ADDING = """
import sys
import torch
torch.backends.quantized.engine = "fbgemm"
weight = torch._make_per_tensor_quantized_tensor(torch.ones(8, 8, 1, 1, dtype=torch.int8), 0.1, 0)
x = torch._make_per_tensor_quantized_tensor(torch.ones(1, 8, 4, 4, dtype=torch.uint8), 0.1, 0)
params = torch.ops.quantized.conv2d_prepack(weight, None, [1, 1], [0, 0], [1, 1], 1)
torch.backends.quantized.engine = "onednn"
if sys.argv[1] == "on":
    import torch_qconv_prepack
    torch_qconv_prepack.enable()
torch.ops.quantized.conv2d_add(x, x, params, 0.1, 0)
"""


def test_adding_to_an_object_of_another_engine_ends_in_an_error_and_not_in_a_crash() -> None:
    def run(mode: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-W", "ignore", "-c", ADDING, mode]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert run("off").returncode < 0
    words = "NotImplementedError: conv2d_add: packed params must be packed by PyTorch's"
    assert words in run("on").stderr
