"""Convolutions fused with batch normalization and ReLU, in one, two and three dimensions, quantized
by PyTorch: run with drop-in mode on, on one thread and on two."""

from __future__ import annotations

from collections.abc import Callable

import ops
import pytest
import torch
from quantized_networks import PYTORCH_WARNINGS, packed_params
from torch import Tensor, nn
from torch.ao.quantization import (
    DeQuantStub,
    QConfigMapping,
    QuantStub,
    convert,
    fuse_modules,
    get_default_qconfig,
    prepare,
)
from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

import torch_qconv_prepack as qconv

pytestmark = PYTORCH_WARNINGS

CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
NORMALIZATIONS = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
SIZES = {1: (400,), 2: (20, 20), 3: (6, 8, 8)}


class Network(nn.Module):
    """Two convolutions: the first with normalization and ReLU, the second with normalization."""

    def __init__(self, dims: int) -> None:
        super().__init__()
        self.quant, self.dequant = QuantStub(), DeQuantStub()
        self.first = CONVOLUTIONS[dims](6, 16, 3, padding=1)
        self.first_norm = NORMALIZATIONS[dims](16)
        self.relu = nn.ReLU()
        self.second = CONVOLUTIONS[dims](16, 24, 3, stride=2, groups=2)
        self.second_norm = NORMALIZATIONS[dims](24)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.first_norm(self.first(self.quant(x))))
        y: Tensor = self.dequant(self.second_norm(self.second(x)))
        return y


def activation(dims: int) -> Tensor:
    return torch.randn(2, 6, *SIZES[dims], generator=torch.Generator().manual_seed(1))


def trained(dims: int) -> Network:
    """With running means and variances that are no longer those of the start."""
    torch.manual_seed(dims)
    network = Network(dims).train()
    with torch.no_grad():
        network(activation(dims))
    return network.eval()


def quantized_eagerly(dims: int) -> nn.Module:
    network = fuse_modules(
        trained(dims), [["first", "first_norm", "relu"], ["second", "second_norm"]]
    )
    network.qconfig = get_default_qconfig("x86")
    prepared = prepare(network)
    prepared(activation(dims))
    converted: nn.Module = convert(prepared)
    return converted


def quantized_by_fx(dims: int) -> nn.Module:
    mapping = QConfigMapping().set_global(get_default_qconfig("x86"))
    prepared = prepare_fx(trained(dims), mapping, (activation(dims),))
    prepared(activation(dims))
    return convert_fx(prepared)


def on_threads(count: int, model: nn.Module, x: Tensor) -> Tensor:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        y: Tensor = model(x)
        return y
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("quantized", [quantized_eagerly, quantized_by_fx])
@pytest.mark.parametrize("dims", CONVOLUTIONS)
def test_fused_networks(dims: int, quantized: Callable[[int], nn.Module]) -> None:
    stock = quantized(dims)
    expected = stock(activation(dims))
    with qconv.enabled():
        model = quantized(dims)
        ours = list(packed_params(model))
        assert len(ours) == 2
        assert all(map(ops.is_ours, ours))
        output, on_two_threads = model(activation(dims)), on_threads(2, model, activation(dims))
    assert torch.equal(on_two_threads, output)
    # Two layers of roundings, each by at most one quantum, of an output of 255 quanta.
    quantum = float(expected.max() - expected.min()) / 255
    assert float((output - expected).abs().max()) < 2.5 * quantum
    assert float((output - expected).abs().mean()) < 0.05 * quantum
