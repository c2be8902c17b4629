"""A small network that PyTorch quantizes and packs, in its ways, and the forms that it takes then.

Without annotations from the future: TorchScript reads those of FX's graph modules as types.
"""

import copy
import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.ao.nn.quantized import FloatFunctional
from torch.ao.quantization import (
    DeQuantStub,
    QuantStub,
    convert,
    fuse_modules,
    get_default_qconfig,
    get_default_qconfig_mapping,
    prepare,
)
from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

# What PyTorch warns of while it quantizes, traces and runs such networks.
PYTORCH_WARNINGS = [
    pytest.mark.filterwarnings(f"ignore:{warning}")
    for warning in (
        ".*torch.jit:DeprecationWarning",
        ".*torch.ao.quantization is deprecated:DeprecationWarning",
        ".*use quant_min and quant_max:UserWarning",
        ".*instance-level annotations:UserWarning",
        ":torch.jit.TracerWarning",
        "The .grad attribute:UserWarning",
        "The input to trace is already a ScriptModule:UserWarning",
    )
]

SIZE = 24


class Network(nn.Module):
    """Dense, depthwise, pointwise, dilated and transposed convolutions, and a sum.

    The transposed one has as many output as input channels: on others PyTorch is wrong.
    """

    def __init__(self) -> None:
        super().__init__()
        self.quant, self.dequant = QuantStub(), DeQuantStub()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU())
        self.depthwise = nn.Sequential(nn.Conv2d(16, 16, 3, 1, 1, groups=16), nn.ReLU())
        self.pointwise = nn.Conv2d(16, 16, 1)
        self.sum = FloatFunctional()
        self.dilated = nn.Conv2d(16, 24, 3, padding=2, dilation=2, groups=4)
        self.up = nn.ConvTranspose2d(24, 24, 3, stride=2, output_padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(self.quant(x))
        x = self.sum.add(self.pointwise(self.depthwise(x)), x)
        return self.dequant(self.up(self.dilated(x)))


LAYERS = ("stem.0", "depthwise.0", "pointwise", "dilated", "up")


def image() -> Tensor:
    return torch.randn(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(3))


def float_network() -> nn.Module:
    torch.manual_seed(7)
    return Network().eval()


def quantized_eagerly() -> nn.Module:
    network = float_network()
    fuse_modules(network, [["stem.0", "stem.1"], ["depthwise.0", "depthwise.1"]], inplace=True)
    network.qconfig = get_default_qconfig("x86")
    network.up.qconfig = get_default_qconfig("qnnpack")  # per tensor
    prepare(network, inplace=True)
    network(image())
    return convert(network, inplace=True)


class Plain(Network):
    """The same without eager mode's stubs, for FX."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = self.pointwise(self.depthwise(x)) + x
        return self.up(self.dilated(x))


def quantized_with_fx() -> nn.Module:
    torch.manual_seed(7)
    mapping = get_default_qconfig_mapping("x86")
    prepared = prepare_fx(Plain().eval(), mapping, (image(),))
    prepared(image())
    return convert_fx(prepared)


QUANTIZED: dict[str, Callable[[], nn.Module]] = {
    "eager": quantized_eagerly,
    "fx": quantized_with_fx,
}


def reloaded(module: Any) -> Any:
    buffer = io.BytesIO()
    torch.jit.save(module, buffer)
    buffer.seek(0)
    return torch.jit.load(buffer)


FORMS: dict[str, Callable[[nn.Module], Any]] = {
    "module": lambda module: module,
    "deepcopy": copy.deepcopy,
    "script": torch.jit.script,
    "trace": lambda module: torch.jit.trace(module, image()),
    "freeze": lambda module: torch.jit.freeze(torch.jit.script(module)),
    "optimize": lambda module: torch.jit.optimize_for_inference(torch.jit.script(module)),
    "file": lambda module: reloaded(torch.jit.script(module)),
    "frozen file": lambda module: reloaded(torch.jit.freeze(torch.jit.script(module))),
}


def packed_params(module: Any) -> Iterator[Any]:
    """The packed convolutions of a model whose code isn't frozen."""
    for child in module.modules():
        params = getattr(child, "_packed_params", None)
        if isinstance(params, torch.ScriptObject):
            yield params
