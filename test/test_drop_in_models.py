"""Whole models, quantized in every way that PyTorch has, run unchanged with drop-in mode on."""

from __future__ import annotations

import copy
import io
from typing import Any

import ops
import pytest
import torch
from quantized_networks import (
    FORMS,
    LAYERS,
    PYTORCH_WARNINGS,
    QUANTIZED,
    Plain,
    image,
    packed_params,
    quantized_eagerly,
)
from torch import Tensor, nn
from torch.ao.quantization import (
    DeQuantStub,
    QuantStub,
    convert,
    default_dynamic_qconfig,
    default_qconfig,
    get_default_qconfig,
    prepare,
    quantize_dynamic,
    quantize_jit,
)

import torch_qconv_prepack as qconv

pytestmark = PYTORCH_WARNINGS

every_flow = pytest.mark.parametrize("flow", QUANTIZED)
every_form = pytest.mark.parametrize("form", FORMS)

# Random numbers near ties of rounding add up over six layers.
MAX_QUANTA = 3


def output_step(module: nn.Module) -> float:
    """Scale of the last layer's output."""
    return float(module.up.scale)


def assert_near(actual: Tensor, expected: Tensor, step: float) -> None:
    quanta = ((actual - expected) / step).abs()
    assert float(quanta.max()) < MAX_QUANTA + 0.5
    assert float((quanta > 0.5).double().mean()) < 0.1
    assert expected.unique().numel() > 50


@every_form
@every_flow
def test_models_made_before_run_as_they_did(flow: str, form: str) -> None:
    model = FORMS[form](QUANTIZED[flow]())
    expected = model(image())
    with qconv.enabled():
        assert torch.equal(model(image()), expected)
        assert not any(map(ops.is_ours, packed_params(model)))
    assert torch.equal(model(image()), expected)


@every_form
@every_flow
def test_models_made_meanwhile_are_this_packages(flow: str, form: str) -> None:
    stock = QUANTIZED[flow]()
    with qconv.enabled():
        original = QUANTIZED[flow]()
        ours = list(packed_params(original))
        assert len(ours) == len(LAYERS)
        assert all(map(ops.is_ours, ours))
        model = FORMS[form](original)
        y = model(image())
        assert all(map(ops.is_ours, packed_params(model)))
    assert_near(y, stock(image()), output_step(stock))
    # When it is off, the model goes on.
    assert torch.equal(model(image()), y)


@every_form
@every_flow
def test_files_of_pytorchs_models_become_this_packages(flow: str, form: str) -> None:
    model = QUANTIZED[flow]()
    expected = model(image())
    buffer = io.BytesIO()
    scripted = FORMS[form](model)
    torch.jit.save(
        scripted if isinstance(scripted, torch.jit.ScriptModule) else torch.jit.script(scripted),
        buffer,
    )
    buffer.seek(0)
    with qconv.enabled():
        loaded = torch.jit.load(buffer)
        assert all(map(ops.is_ours, packed_params(loaded)))
        y = loaded(image())
        assert torch.equal(y, copy.deepcopy(model)(image()))
    assert_near(y, expected, output_step(model))


@every_flow
def test_files_written_meanwhile_are_read_by_pytorch(flow: str) -> None:
    buffer = io.BytesIO()
    with qconv.enabled():
        model = QUANTIZED[flow]()
        torch.jit.save(torch.jit.script(model), buffer)
    buffer.seek(0)
    loaded = torch.jit.load(buffer)
    assert not any(map(ops.is_ours, packed_params(loaded)))
    assert_near(loaded(image()), QUANTIZED[flow]()(image()), output_step(model))


@every_flow
def test_a_deep_copy_makes_a_model_this_packages(flow: str) -> None:
    stock = QUANTIZED[flow]()
    with qconv.enabled():
        ours = copy.deepcopy(stock)
        made = QUANTIZED[flow]()
    assert all(map(ops.is_ours, packed_params(ours)))
    assert torch.equal(ours(image()), made(image()))


@every_flow
def test_state_dicts_go_both_ways(flow: str) -> None:
    stock = QUANTIZED[flow]()
    with qconv.enabled():
        ours = QUANTIZED[flow]()
        expected = ours(image())
        ours.load_state_dict(stock.state_dict())
        assert torch.equal(ours(image()), expected)
    before = stock(image())
    stock.load_state_dict(ours.state_dict())
    assert torch.equal(stock(image()), before)


@pytest.mark.parametrize("setting", ["x86", "fbgemm", "qnnpack", "onednn"])
@every_flow
def test_pytorchs_choice_of_an_engine_changes_nothing(flow: str, setting: str) -> None:
    with qconv.enabled():
        expected = QUANTIZED[flow]()(image())
        with ops.stock_engine(setting):
            assert torch.equal(QUANTIZED[flow]()(image()), expected)


def test_a_transposed_model_is_right_where_pytorch_is_wrong() -> None:
    """U-Net's up-sampling halves the channels, which PyTorch's default engine gets wrong."""

    def model() -> nn.Module:
        torch.manual_seed(3)
        network = nn.Sequential(
            QuantStub(), nn.Conv2d(3, 32, 3, padding=1), nn.ConvTranspose2d(32, 16, 4, 2),
            DeQuantStub(),
        ).eval()  # fmt: skip
        network.qconfig = get_default_qconfig("qnnpack")
        prepare(network, inplace=True)
        network(image())
        return convert(network, inplace=True)

    torch.manual_seed(3)
    real = nn.Sequential(nn.Conv2d(3, 32, 3, padding=1), nn.ConvTranspose2d(32, 16, 4, 2)).eval()
    expected = real(image()).detach()
    stock = model()
    with qconv.enabled():
        ours = model()
    step = float(stock[2].scale)

    def error(y: Tensor) -> float:
        return float((y - expected).abs().mean()) / step

    assert error(stock(image())) > 10
    assert error(ours(image())) < 1.5


def quantized_as_a_graph() -> Any:
    torch.manual_seed(7)
    scripted = torch.jit.script(Plain().eval())
    return quantize_jit(scripted, {"": default_qconfig}, lambda m, x: m(x), [image()])


def test_graph_mode_folds_packed_weights_of_this_package() -> None:
    with ops.stock_engine("fbgemm"):
        expected = quantized_as_a_graph()(image())
        with qconv.enabled():
            model = quantized_as_a_graph()
            y = model(image())
    names = [node.s("name") for node in model.graph.findAllNodes("prim::GetAttr")]
    packed = [model._c.getattr(name) for name in names if "packed" in name]
    assert len(packed) == len(LAYERS)
    assert all(map(ops.is_ours, packed))
    step = float(expected.abs().max()) / 128
    assert_near(y, expected, step)


def test_compiled_models_break_the_graph_and_are_right() -> None:
    with qconv.enabled():
        model = quantized_eagerly()
        expected = model(image())
        torch._dynamo.reset()
        compiled = torch.compile(model, backend="eager")
        assert torch.equal(compiled(image()), expected)


def test_dynamic_quantization_of_linear_layers_is_not_touched() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(1), nn.Linear(12, 5)).eval()
    x = torch.randn(4, 3, 2, 2)
    config = {nn.Linear: default_dynamic_qconfig}
    expected = quantize_dynamic(model, config)(x)
    with qconv.enabled():
        assert torch.equal(quantize_dynamic(model, config)(x), expected)
        assert torch.equal(torch.jit.script(quantize_dynamic(model, config))(x), expected)
