"""The int8 network with every convolution packed, and its file."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .backends import STOCK, Backend, op_name, stock_engine
from .quantize import ActivationScale, QuantizedNetwork
from .quantized_tensors import average_pixels, quantized_activation


@dataclass(frozen=True)
class PackedLayer:
    """One convolution: packed parameters (a ScriptObject) and the name of the op that runs them."""

    op: str
    parameters: Any
    output: ActivationScale
    pool: bool


@dataclass(frozen=True)
class PackedNetwork:
    """The int8 network as one backend runs it."""

    backend: Backend
    input: ActivationScale
    layers: tuple[PackedLayer, ...]

    def logits(self, images: Tensor) -> Tensor:
        """Run uint8 images [N, 1, 8, 8]; return the quantized logits, uint8 [N, 10]."""
        activation = quantized_activation(images, self.input)
        for layer in self.layers:
            if layer.pool:
                activation = average_pixels(activation)
            run = self.backend.op(layer.op)
            activation = run(
                activation, layer.parameters, layer.output.scale, layer.output.zero_point
            )
        return activation.int_repr().flatten(1)


def pack_network(network: QuantizedNetwork, backend: Backend) -> PackedNetwork:
    """Pack every convolution of `network`."""
    layers = tuple(
        PackedLayer(
            op=op_name(quantized.layer) + ("_relu" if quantized.layer.relu else ""),
            parameters=backend.prepack(quantized),
            output=quantized.output,
            pool=quantized.layer.pool,
        )
        for quantized in network.layers
    )
    return PackedNetwork(backend, network.input, layers)


def save_network(network: PackedNetwork, path: Path) -> None:
    """Write `network` to `path`, all or nothing."""
    state = {
        "backend": asdict(network.backend),
        "input": asdict(network.input),
        "layers": [
            {
                "op": layer.op,
                "parameters": layer.parameters,
                "output": asdict(layer.output),
                "pool": layer.pool,
            }
            for layer in network.layers
        ],
    }
    save_atomically(state, path)


def load_network(path: Path) -> PackedNetwork:
    """Read what `save_network` wrote."""
    # Allowed for this one call: torch.ScriptObject stands for every class registered with torch.
    # Stock's parameters are packed again as they load, for the engine selected then.
    with torch.serialization.safe_globals([torch.ScriptObject]), stock_engine(STOCK.engine):
        state = torch.load(path)
    layers = tuple(
        PackedLayer(**{**layer, "output": ActivationScale(**layer["output"])})
        for layer in state["layers"]
    )
    return PackedNetwork(Backend(**state["backend"]), ActivationScale(**state["input"]), layers)


def save_atomically(value: object, path: Path) -> None:
    """torch.save to a temporary file beside `path`, then rename: no reader sees half a file."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        torch.save(value, temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
