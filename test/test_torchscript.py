"""Packed objects are attributes, constants and arguments in TorchScript and its files."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ops
import pytest
import torch
from conv_case import ConvCase, ConvData
from packed_examples import EXAMPLES, assert_same_params, every_example, kind_of
from torch import Tensor, nn


def block(data: ConvData, params: Any, namespace: str = "torch_qconv_prepack") -> nn.Module:
    """A module that runs `params`; TorchScript wants the op's name in its source."""

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.params = params
            self.scale = data.output_scale
            self.zero_point = data.output_zero_point

        def forward(self, x: Tensor) -> Tensor:
            return op(x, self.params, self.scale, self.zero_point)

    op = ops.op(kind_of(data), namespace)
    return Block().eval()


def reloaded(module: Any) -> Any:
    buffer = io.BytesIO()
    torch.jit.save(module, buffer)
    buffer.seek(0)
    return torch.jit.load(buffer)


@every_example
def test_attribute_of_a_scripted_module_round_trips(case: ConvCase) -> None:
    data = case.data()
    params = ops.pack(data)
    back = reloaded(torch.jit.script(block(data, params)))
    assert_same_params(back.params, params, data)
    assert_same_outputs(back, params, data)


def assert_same_outputs(module: Any, params: Any, data: ConvData) -> None:
    assert torch.equal(module(data.activation).int_repr(), ops.run(data, params).int_repr())


CHANGES: dict[str, Callable[[Any, ConvData], Any]] = {
    "script": lambda module, data: torch.jit.script(module),
    "trace": lambda module, data: torch.jit.trace(module, data.activation),
    "freeze": lambda module, data: torch.jit.freeze(torch.jit.script(module)),
    "deepcopy": lambda module, data: copy.deepcopy(torch.jit.script(module)),
    "optimize": lambda module, data: torch.jit.optimize_for_inference(torch.jit.script(module)),
}


@pytest.mark.parametrize("change", CHANGES)
@every_example
def test_changed_modules_compute_the_same_after_loading(case: ConvCase, change: str) -> None:
    data = case.data()
    params = ops.pack(data)
    module = CHANGES[change](block(data, params), data)
    assert_same_outputs(module, params, data)
    assert_same_outputs(reloaded(module), params, data)
    assert_same_outputs(reloaded(reloaded(module)), params, data)


# PyTorch's class copies and saves the guise, and gives back an object of its own engine, which
# takes no transposed per-channel weight.
every_example_of_stock = pytest.mark.parametrize(
    "case", [c for c in EXAMPLES if not (c.transposed and c.per_channel)], ids=str
)


@pytest.mark.parametrize("change", CHANGES)
@every_example_of_stock
def test_object_in_stocks_guise_runs_under_stocks_ops(case: ConvCase, change: str) -> None:
    data = case.data()
    params = ops.pack(data)
    with ops.stock_engine("fbgemm"):
        module = CHANGES[change](block(data, params.as_quantized(), "quantized"), data)
    assert_same_outputs(module, params, data)


@pytest.mark.parametrize("change", CHANGES)
@every_example_of_stock
def test_file_of_the_guise_holds_an_object_of_pytorchs(case: ConvCase, change: str) -> None:
    data = case.data()
    params = ops.pack(data)
    module = CHANGES[change](block(data, params.as_quantized(), "quantized"), data)
    with ops.stock_engine("fbgemm"):
        assert_same_outputs(reloaded(module), params, data)


def test_file_on_disk_is_loaded_with_its_extra_files(tmp_path: Path) -> None:
    data = EXAMPLES[1].data()
    params = ops.pack(data)
    path = tmp_path / "f.pt"
    torch.jit.script(block(data, params)).save(str(path), _extra_files={"note": b"kept"})
    extra = {"note": ""}
    back = torch.jit.load(str(path), map_location="cpu", _extra_files=extra)
    assert extra == {"note": b"kept"}
    assert_same_params(back.params, params, data)


@torch.jit.script
def pack_and_run(weight: Tensor, bias: Tensor, x: Tensor) -> Tensor:
    params = torch.ops.torch_qconv_prepack.conv2d_prepack(
        weight, bias, [1, 1], [0, 0], [1, 1], 1, engine="fbgemm"
    )
    assert params.stride() == [1, 1]
    assert params.engine() == "fbgemm"
    kept, _ = torch.ops.torch_qconv_prepack.conv2d_unpack(params)
    assert torch.equal(kept.int_repr(), weight.int_repr())
    return torch.ops.torch_qconv_prepack.conv2d_relu(x, params, 0.1, 3)


def test_scripted_code_packs_and_asks_and_runs() -> None:
    data = ConvCase("conv2d").data()
    expected = ops.op("conv2d_relu")(data.activation, ops.pack(data), 0.1, 3)
    for function in (pack_and_run, reloaded(pack_and_run)):
        y = function(data.weight, data.bias, data.activation)
        assert torch.equal(y.int_repr(), expected.int_repr())
