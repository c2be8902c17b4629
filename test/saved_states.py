"""Saved states of packed convolutions, written in Python from what the formats say.

A state is what an object's __getstate__ returns; csrc/state/ reads and writes it. Here it is put
together from `Parts`, so that a test can hold the library's states to it, or spoil one part.
"""

from __future__ import annotations

import base64
import struct
from dataclasses import dataclass, replace
from typing import Any

import torch
from conv_case import ConvData
from torch import Tensor

Ints = tuple[int, ...]

OWN_TAG = "torch_qconv_prepack.1"
OWN_CLASS = "__torch__.torch.classes.torch_qconv_prepack.Conv{}dPackedParams"
STOCK_CLASS = "__torch__.torch.classes.quantized.Conv{}dPackedParamsBase"

TRANSPOSED, PER_CHANNEL, MAY_RUN_AS_1D, HAS_BIAS = 1, 2, 4, 8


@dataclass(frozen=True)
class Parts:
    """What every format holds; any part may be replaced by nonsense.

    weight: qint8, with a height of 1 inserted where the convolution is 1-D; so the sizes below.
    bias: float32 or None.
    flags: None for those that the other parts ask for.
    """

    weight: Any
    bias: Any
    stride: Ints
    padding: Ints
    output_padding: Ints
    dilation: Ints
    groups: int = 1
    dims: int = 2
    flags: int | None = 0

    def but(self, **changes: Any) -> Parts:
        return replace(self, **changes)

    def config(self) -> list[int]:
        """The integers of versions 2 and 3."""
        lists = (*self.stride, *self.padding, *self.dilation, *self.output_padding)
        return [self.dims, *lists, self.groups, self.flags or 0]


def parts_of(data: ConvData) -> Parts:
    """The parts of a convolution, as versions 1 to 3 store them: 1-D as 2-D."""
    geometry = data.geometry
    is_1d = geometry.dims == 1

    def stored(values: Ints, leading: int) -> Ints:
        return (leading, *values) if is_1d else values

    return Parts(
        weight=data.weight.unsqueeze(2) if is_1d else data.weight,
        bias=data.bias,
        stride=stored(geometry.stride, 1),
        padding=stored(geometry.padding, 0),
        output_padding=stored(geometry.output_padding or (0,) * geometry.dims, 0),
        dilation=stored(geometry.dilation, 1),
        groups=geometry.groups,
        dims=max(geometry.dims, 2),
        flags=TRANSPOSED if geometry.transposed else 0,
    )


def version1(parts: Parts) -> tuple:
    """PyTorch 1.6's: every integer is a tensor of its own. It knows no transposed convolution."""
    lists = ([torch.tensor([v]) for v in p] for p in (parts.stride, parts.padding, parts.dilation))
    return (parts.weight, parts.bias, *lists, torch.tensor([parts.groups]))


def version2(parts: Parts) -> tuple:
    """PyTorch 1.7's and later."""
    config = torch.tensor(parts.config(), dtype=torch.int16)
    return ("2", [config, parts.weight], [parts.bias])


def version3(parts: Parts) -> tuple:
    """What PyTorch reads since 1.8."""
    return (3, parts.config(), [None, parts.weight, parts.bias])


WRITERS = {1: version1, 2: version2, 3: version3}


def own_payload(parts: Parts) -> bytes:
    """The numbers of this package's own state: int8 weight, scales, zero points, bias."""
    weight: Tensor = parts.weight
    if weight.qscheme() == torch.per_channel_affine:
        scales = weight.q_per_channel_scales().tolist()
        zero_points = weight.q_per_channel_zero_points().tolist()
    else:
        scales, zero_points = [weight.q_scale()], [weight.q_zero_point()]
    bias = [] if parts.bias is None else parts.bias.tolist()
    return (
        weight.int_repr().contiguous().numpy().tobytes()
        + struct.pack(f"<{len(scales)}d{len(scales)}i", *scales, *zero_points)
        + struct.pack(f"<{len(bias)}f", *bias)
    )


def own_config(parts: Parts, is_1d: bool = False) -> list[int]:
    """Its integers without the checksum. 1-D is stored with one number a list."""
    if is_1d:
        names = ("stride", "padding", "output_padding", "dilation")
        shorter = {name: getattr(parts, name)[1:] for name in names}
        parts = parts.but(weight=parts.weight.squeeze(2), dims=1, **shorter)
    *config, flags = parts.config()
    per_channel = parts.weight.qscheme() == torch.per_channel_affine
    flags |= PER_CHANNEL * per_channel | HAS_BIAS * (parts.bias is not None)
    return [*config, flags, *parts.weight.shape]


def checksum(*parts: bytes) -> int:
    """FNV-1a of the 64-bit words of the parts, whose last ones are padded with zeros; signed."""
    value = 0xCBF29CE484222325
    for part in parts:
        for (word,) in struct.iter_unpack("<Q", part + bytes(-len(part) % 8)):
            value = (value ^ word) * 0x100000001B3 % 2**64
    return value - 2**64 if value >= 2**63 else value


def own_state(config: list[int], payload: bytes, engine: str = "fbgemm") -> tuple:
    """This package's own state around a payload, with its checksum, which leaves out the engine."""
    numbers = struct.pack(f"<{len(config)}q", *config)
    text = base64.b64encode(payload).decode()
    return (OWN_TAG, engine, [*config, checksum(numbers, payload)], text)


def state_of(params: torch.ScriptObject) -> tuple:
    """What the object's class saves of it."""
    return params.__getstate__()[0]


def build(class_name: str, state: object) -> torch.ScriptObject:
    """An object from a saved state, as pickle and torch.load build it."""
    params = torch.ScriptObject.__new__(torch.ScriptObject)
    params.__setstate__((state, class_name))
    return params
