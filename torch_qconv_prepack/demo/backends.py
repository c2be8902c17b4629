"""Whose convolutions run: an engine of this package, or stock PyTorch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from torch_qconv_prepack._engine_info import engines

from .network import ConvLayer
from .quantize import QuantizedLayer
from .quantized_tensors import quantized_weight

OUR_NAMESPACE = "torch_qconv_prepack"


@dataclass(frozen=True)
class Backend:
    """The ops of torch.ops.<namespace>, with weights packed by `engine`."""

    namespace: str
    engine: str

    @property
    def is_ours(self) -> bool:
        """Whether this is an engine of this package."""
        return self.namespace == OUR_NAMESPACE

    @property
    def rounds_bias(self) -> bool:
        """Whether the bias is rounded to whole units of the int32 sums, as QNNPACK needs it."""
        return self.engine == "qnnpack"

    @property
    def title(self) -> str:
        """The name of its row in the table."""
        return f"{self.engine} (ours)" if self.is_ours else f"stock PyTorch (engine {self.engine})"

    @property
    def file_name(self) -> str:
        """The name of the file that holds its packed network."""
        return f"{self.namespace}-{self.engine}.pt"

    def op(self, name: str) -> Any:
        """Return the op of that name, such as "conv2d_relu"."""
        return getattr(getattr(torch.ops, self.namespace), name)

    def prepack(self, quantized: QuantizedLayer) -> Any:
        """Return the packed parameters of one layer, a ScriptObject."""
        layer = quantized.layer
        output_padding = [[0, 0]] if layer.transposed else []
        arguments = (
            quantized_weight(quantized),
            quantized.bias,
            [layer.stride] * 2,
            [layer.padding] * 2,
            *output_padding,
            [1, 1],
            layer.groups,
        )
        prepack = self.op(f"{op_name(layer)}_prepack")
        if self.is_ours:
            try:
                return prepack(*arguments, engine=self.engine)
            except NotImplementedError:
                # The layer that the engine refuses; the policy finds another.
                return prepack(*arguments, engine="auto")
        with stock_engine(self.engine):
            return prepack(*arguments)


STOCK = Backend("quantized", "x86")


def available_engines() -> tuple[str, ...]:
    """Return the engines of this package that can be used here; each gets a row."""
    return tuple(info.name for info in engines() if info.kind == "engine" and info.available)


def available_backends() -> tuple[Backend, ...]:
    """Return the engines of this package, then stock PyTorch."""
    return (*(Backend(OUR_NAMESPACE, engine) for engine in available_engines()), STOCK)


def op_name(layer: ConvLayer) -> str:
    """Return the name of the op that runs `layer`, without "_relu"."""
    return "conv_transpose2d" if layer.transposed else "conv2d"


@contextlib.contextmanager
def stock_engine(engine: str) -> Iterator[None]:
    """Select the engine for which stock PyTorch packs, at prepack and when it loads a file."""
    before = torch.backends.quantized.engine
    torch.backends.quantized.engine = engine
    try:
        yield
    finally:
        torch.backends.quantized.engine = before
