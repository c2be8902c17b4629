"""Names and arguments of the quantized ops, this package's and PyTorch's. Needs PyTorch alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from conv_case import ConvData
from torch import Tensor


def kind(dims: int, transposed: bool) -> str:
    """Name of the run op."""
    return f"conv_transpose{dims}d" if transposed else f"conv{dims}d"


def op(name: str, namespace: str = "torch_qconv_prepack") -> Any:
    """torch.ops.<namespace>.<name>."""
    return getattr(getattr(torch.ops, namespace), name)


def pack_arguments(data: ConvData) -> list[Any]:
    """What a prepack op takes, in its order."""
    geometry = data.geometry
    lists = [list(geometry.stride), list(geometry.padding)]
    if geometry.transposed:
        lists.append(list(geometry.output_padding))
    return [data.weight, data.bias, *lists, list(geometry.dilation), geometry.groups]


@dataclass(frozen=True)
class Ops:
    """The quantized ops of one namespace on one engine.

    PyTorch's engine is the process's: whoever calls sets torch.backends.quantized.engine.
    """

    namespace: str
    engine: str

    @property
    def stock(self) -> bool:
        """Whether these are PyTorch's own."""
        return self.namespace == "quantized"

    @property
    def rounding(self) -> str:
        """The engine whose rounding the reference allows for; x86 is oneDNN or FBGEMM."""
        return "onednn" if self.engine == "x86" else self.engine

    def _op(self, data: ConvData, suffix: str) -> Any:
        name = kind(data.geometry.dims, data.geometry.transposed) + suffix
        try:
            return op(name, self.namespace)
        except AttributeError:
            raise NotImplementedError(f"there is no {name}") from None

    def call(self, data: ConvData, suffix: str, *arguments: Any) -> Any:
        """The op of the data's kind with this suffix, as "" or "_relu"."""
        return self._op(data, suffix)(*arguments)

    def pack(self, data: ConvData) -> Any:
        prepack = self._op(data, "_prepack")
        arguments = pack_arguments(data)
        return prepack(*arguments) if self.stock else prepack(*arguments, engine=self.engine)

    def run(self, data: ConvData, packed: Any, suffix: str = "") -> Tensor:
        """The output on the data's activations."""
        result: Tensor = self.call(
            data, suffix, data.activation, packed, data.output_scale, data.output_zero_point
        )
        return result
