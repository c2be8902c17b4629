"""Archives for tests: those of PyTorch's releases with what they must hold, and composed ones.

data/ has a few; the environment variable QCONV_LEGACY_DIR may name a folder of the same layout with
more, and then every test over these files runs over those too.
"""

from __future__ import annotations

import json
import os
import pickle
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from torch_qconv_prepack.checkpoint._nodes import Global, Node, PersistentId

DATA = Path(__file__).parent / "data"

CLASS_NAME = "__torch__.torch.classes.quantized.Conv2dPackedParamsBase"

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
    """One archive. `kind` is raw, obj, freeze (packed objects) or mod (a module tuple)."""

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

    @property
    def is_1d(self) -> bool:
        """Whether the convolution is one-dimensional: stored as 2-D, with a leading 1."""
        return "1d" in self.op

    @property
    def dims(self) -> int:
        """Spatial dimensions as stored."""
        return 3 if "3d" in self.op else 2


def legacy_files(*kinds: str) -> list[LegacyFile]:
    """Return the files of these kinds."""
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


def assemble(value: object) -> bytes:
    """Pickle `value`, whose Nodes and Globals may name anything, without PROTO and STOP."""
    match value:
        case tuple():
            return b"(" + b"".join(map(assemble, value)) + b"t"
        case list():
            return b"](" + b"".join(map(assemble, value)) + b"e"
        case dict():
            return b"}(" + b"".join(assemble(k) + assemble(v) for k, v in value.items()) + b"u"
        case Global(path):
            module, _, name = path.rpartition(".")
            return f"c{module}\n{name}\n".encode()
        case PersistentId(identity):
            return assemble(identity) + b"Q"
        case Node():
            made = assemble(value.target) + assemble(value.args) + b"R"
            return made + assemble(value.state) + b"b" if value.has_state else made
        case _:
            return pickle.dumps(value, 2)[2:-1]


def call(path: str, *args: object) -> Node:
    """A call of the function `path`."""
    return Node(Global(path), args)


def storage(kind: str = "QInt8", key: str = "0", count: object = 6) -> PersistentId:
    """The storage that data/`key` holds."""
    return PersistentId(("storage", Global(f"torch.{kind}Storage"), key, "cpu", count))


def plain(
    where: PersistentId, size: object, stride: object = (1,), offset: object = 0, *more: object
) -> Node:
    """A tensor that is not quantized."""
    return call("torch._utils._rebuild_tensor_v2", where, offset, size, stride, False, {}, *more)


PER_TENSOR = (Global("torch.per_tensor_affine"), 0.5, 3)
SCALES = plain(storage("Double", "scales", 2), (2,))
ZERO_POINTS = plain(storage("Long", "zero_points", 2), (2,))
STORAGES = {
    "data/0": bytes([0, 1, 2, 253, 254, 255]),
    "data/scales": struct.pack("<2d", 0.5, 0.25),
    "data/zero_points": struct.pack("<2q", 0, -7),
    "data/nan": struct.pack("<2d", 0.5, float("nan")),
    "data/far": struct.pack("<2q", 0, 128),
    "data/config": struct.pack("<11h", 2, 1, 2, 3, 4, 5, 6, 0, 0, 1, 0),
}


def per_channel(
    scales: object = SCALES, zero_points: object = ZERO_POINTS, axis: object = 0
) -> tuple:
    """A quantizer."""
    return (Global("torch.per_channel_affine"), scales, zero_points, axis)


def weight(
    where: object = storage(),
    size: object = (2, 3, 1, 1),
    stride: object = (3, 1, 1, 1),
    offset: object = 0,
    quantizer: object = PER_TENSOR,
) -> Node:
    """A quantized tensor, by default of values 0, 1, 2, -3, -2, -1."""
    rebuild = "torch._utils._rebuild_qtensor"
    return call(rebuild, where, offset, size, stride, quantizer, False, {})


def packed(state: object) -> Node:
    """A packed convolution, as torch.save writes it."""
    return Node(Global("torch.ScriptObject"), (), has_state=True, state=(state, CLASS_NAME))


def state(tensor: object) -> tuple:
    """A state of version 3."""
    return (3, [2, 1, 1, 0, 0, 1, 1, 0, 0, 1, 0], [None, tensor, None])


def write_archive(path: Path, tree: object, **members: bytes) -> None:
    """Write an archive whose data.pkl is `tree`, with the storages above; `members` overrides."""
    content = {"data.pkl": b"\x80\x02" + assemble(tree) + b".", **STORAGES, **members}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(f"archive/{name}", data)


DIRECTORY_FIELDS = {
    "flags": (8, "<H"),
    "method": (10, "<H"),
    "crc": (16, "<I"),
    "offset": (42, "<I"),
}


def edit_directory(path: Path, name: str, **fields: int) -> None:
    """Overwrite fields of the zip directory's record of a member; `size` sets both sizes."""
    data = bytearray(path.read_bytes())
    record = data.rindex(f"archive/{name}".encode()) - 46
    assert data[record : record + 4] == b"PK\x01\x02"
    for field, value in fields.items():
        if field == "size":
            struct.pack_into("<II", data, record + 20, value, value)
        else:
            offset, form = DIRECTORY_FIELDS[field]
            struct.pack_into(form, data, record + offset, value)
    path.write_bytes(data)
