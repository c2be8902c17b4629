"""Archives that PyTorch's releases wrote, with what they must hold.

data/ has a few; the environment variable QCONV_LEGACY_DIR may name a folder of the same layout with
more, and then every test over these files runs over those too.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

DATA = Path(__file__).parent / "data"

Ints = tuple[int, ...]


@dataclass(frozen=True)
class Config:
    """The numbers of a packed convolution, one per spatial dimension where there are several."""

    stride: Ints
    padding: Ints
    dilation: Ints
    output_padding: Ints
    groups: int
    transpose: bool


@dataclass(frozen=True)
class LegacyFile:
    """One archive. `kind`: raw, obj, freeze (packed objects), mod, pkl (modules), sd (tensors)."""

    path: Path
    expected_path: Path
    kind: str
    op: str
    engine: str
    version: int | None

    @property
    def name(self) -> str:
        """The folder (which names the release) and file name."""
        return f"{self.path.parent.name}/{self.path.name}"

    def __str__(self) -> str:
        return self.name

    @property
    def is_1d(self) -> bool:
        """Whether the convolution is one-dimensional: stored as 2-D, with a leading 1."""
        return "1d" in self.op

    @property
    def dims(self) -> int:
        """Spatial dimensions as stored."""
        return 3 if "3d" in self.op else 2


KINDS = ("raw", "obj", "freeze", "mod", "pkl", "sd")


def legacy_files(*kinds: str) -> list[LegacyFile]:
    """Return the files of these kinds, by default of all."""
    kinds = kinds or KINDS
    folders = [DATA]
    if more := os.environ.get("QCONV_LEGACY_DIR"):
        folders.append(Path(more))
    files = []
    for folder in folders:
        for entry in json.loads((folder / "MANIFEST.json").read_text())["files"]:
            versions = entry["state_versions"]
            if entry["kind"] in kinds:
                files.append(
                    LegacyFile(
                        path=folder / entry["file"],
                        expected_path=folder / entry["expected"],
                        kind=entry["kind"],
                        op=entry["op"],
                        engine=entry["engine"],
                        version=int(versions[0].removeprefix("v")) if versions else None,
                    )
                )
    return files


class ExpectedFile:
    """What a file must hold, in the shapes in which it is stored, and what it must compute.

    `weight` is int8, of rank 4 or 5; `axis` is -1 for one scale of the whole weight. `y` is the
    exact output for the input `x`, rounded to quint8.
    """

    def __init__(self, file: LegacyFile) -> None:
        with np.load(file.expected_path) as arrays:
            self._arrays = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
        self._is_1d = file.is_1d
        weight = self._arrays["w"]
        self.weight = weight.unsqueeze(2) if file.is_1d else weight
        self.scales = self._arrays["w_scales"]
        # FBGEMM keeps one float32 per channel.
        if file.engine == "fbgemm" and self.scales.numel() > 1:
            self.scales = self.scales.float().double()
        self.zero_points = self._arrays["w_zero_points"]
        self.axis = int(self._arrays["w_axis"])
        self.bias = self._arrays.get("bias")
        self.config = Config(
            stride=self._sizes("stride", 1),
            padding=self._sizes("padding", 0),
            dilation=self._sizes("dilation", 1),
            output_padding=self._sizes("output_padding", 0),
            groups=int(self._arrays["groups"]),
            transpose=bool(self._arrays["transpose"]),
        )
        # QNNPACK stores zeros where there was no bias.
        if self.bias is None and file.engine == "qnnpack":
            channels = self.weight.shape[1] * self.config.groups
            self.bias = torch.zeros(channels if self.config.transpose else self.weight.shape[0])
        self.x = self._quantized("x", "x")
        self.y = self._quantized("y_ref", "y")

    def _sizes(self, name: str, leading: int) -> Ints:
        values = tuple(self._arrays[name].tolist())
        return (leading, *values) if self._is_1d else values

    def _quantized(self, values: str, parameters: str) -> Tensor:
        return torch._make_per_tensor_quantized_tensor(
            self._arrays[values],
            float(self._arrays[f"{parameters}_scale"]),
            int(self._arrays[f"{parameters}_zero_point"]),
        )


def decode(version: int, dims: int, state: tuple) -> tuple[Tensor, Tensor | None, Config]:
    """Return weight, bias and config of a state of any version, read as the formats define it."""
    if version == 1:
        weight, bias, *lists, groups = state
        stride, padding, dilation = (tuple(int(t) for t in sizes) for sizes in lists)
        return weight, bias, Config(stride, padding, dilation, (0,) * dims, int(groups), False)
    if version == 2:
        _, (packed, weight), (bias,) = state
        assert packed.dtype == torch.int16
        values = packed.tolist()
    else:
        _, values, (unused, weight, bias) = state
        assert unused is None
    assert values[0] == dims
    assert len(values) == 4 * dims + 3
    sizes = [tuple(values[1 + i * dims : 1 + (i + 1) * dims]) for i in range(4)]
    groups, flags = values[-2:]
    assert flags in (0, 1)
    return weight, bias, Config(*sizes, groups, bool(flags))
