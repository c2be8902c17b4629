"""Sums that FX fuses with a convolution (conv2d_add, conv2d_add_relu), as PyTorch does for its
engine onednn: such networks run with drop-in mode on, whatever engine PyTorch has selected.

Without annotations from the future: TorchScript reads those of FX's graph modules as types.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ops
import pytest
import torch
from comparison import assert_matches
from conv_case import ConvData
from quantized_networks import FORMS, PYTORCH_WARNINGS, image, packed_params, reloaded
from reference import ConvGeometry
from sums import expected_sum
from test_drop_in_equals_stock import STOCK_ENGINES, assert_same
from torch import Tensor, nn
from torch.ao.nn.intrinsic import quantized as nniq
from torch.ao.quantization import get_default_qconfig_mapping
from torch.ao.quantization.backend_config import get_onednn_backend_config
from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

import torch_qconv_prepack as qconv

pytestmark = PYTORCH_WARNINGS

Add = nniq.ConvAdd2d | nniq.ConvAddReLU2d


class Residual(nn.Module):
    """Two blocks of a residual network: the first ends in a ReLU, the second, grouped, doesn't.

    What is added is read by nothing afterwards, and isn't the input of the convolution that it is
    added to: PyTorch writes the sum over it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.first = nn.Conv2d(16, 24, 3, stride=2, padding=1)
        self.last = nn.Conv2d(24, 16, 1)
        self.shortcut = nn.Conv2d(16, 16, 2, stride=2)
        self.middle = nn.Conv2d(16, 16, 3, padding=1)
        self.grouped = nn.Conv2d(16, 16, 3, padding=1, groups=4)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.stem(x))
        x = self.relu(self.last(self.relu(self.first(x))) + self.shortcut(x))
        y: Tensor = self.grouped(self.middle(x)) + x
        return y


def quantized() -> nn.Module:
    torch.manual_seed(0)
    config = get_onednn_backend_config()
    model = Residual().eval()
    mapping = get_default_qconfig_mapping("onednn")
    prepared = prepare_fx(model, mapping, (image(),), backend_config=config)
    prepared(image())
    return convert_fx(prepared, backend_config=config)


@pytest.fixture(scope="module")
def stock() -> nn.Module:
    with ops.stock_engine("onednn"):
        return quantized()


@contextmanager
def watched(model: nn.Module) -> Iterator[dict[str, tuple[ConvData, Tensor, Tensor]]]:
    """Note, by the modules' names, what is convolved, what is added and what comes."""
    calls: dict[str, tuple[ConvData, Tensor, Tensor]] = {}

    def note(name: str, module: Any, inputs: tuple[Tensor, Tensor], y: Tensor) -> None:
        x, addend = (tensor.clone() for tensor in inputs)
        geometry = ConvGeometry(module.stride, module.padding, module.dilation, module.groups)
        data = ConvData(
            x, module.weight(), module.bias(), geometry, float(module.scale), int(module.zero_point)
        )
        calls[name] = (data, addend, y)

    hooks = [
        module.register_forward_hook(lambda m, x, y, name=name: note(name, m, x, y))
        for name, module in model.named_modules()
        if isinstance(module, Add)
    ]
    yield calls
    for hook in hooks:
        hook.remove()


@pytest.mark.parametrize("setting", STOCK_ENGINES)
@pytest.mark.parametrize("engine", ops.ENGINES)
def test_sums_are_right_and_equal_pytorchs(engine: str, setting: str, stock: nn.Module) -> None:
    with ops.stock_engine(setting), qconv.enabled(engine):
        model = copy.deepcopy(stock)
        assert {qconv.describe(params).engine for params in packed_params(model)} == {engine}
        with watched(model) as calls:
            model(image())
    assert sorted(calls) == ["grouped", "last"]
    for name, (data, addend, y) in calls.items():
        relu = name == "last"
        expected = expected_sum(data, addend, relu, engine)
        assert_matches(y, expected)
        with ops.stock_engine("onednn"):
            off = stock.get_submodule(name)(data.activation, addend.clone())
        if engine != "qnnpack":  # whose convolution rounds its bias, and PyTorch's doesn't
            assert_same(y, off, expected, expected_sum(data, addend, relu, "onednn"))


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_the_model_give_the_same(form: str, stock: nn.Module) -> None:
    with ops.stock_engine("onednn"):
        file = torch.jit.script(stock)
        expected = stock(image())
    # Under another engine PyTorch's own objects can't be added to.
    with ops.stock_engine("fbgemm"), qconv.enabled():
        model = quantized()
        y = model(image())
        assert torch.equal(FORMS[form](model)(image()), y)
        assert torch.equal(FORMS[form](copy.deepcopy(stock))(image()), y)
        assert torch.equal(reloaded(FORMS[form](file))(image()), y)
    step = float(stock.grouped.scale)  # type: ignore[arg-type,union-attr]
    assert float((y - expected).abs().max()) < 3.5 * step
    assert expected.unique().numel() > 50
