"""Archives put together for tests: any object tree, tensors that may be unsound, damaged zips."""

from __future__ import annotations

import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from torch_qconv_prepack.checkpoint import read, read_states
from torch_qconv_prepack.checkpoint._nodes import Global, Node, PersistentId

CLASS_NAME = "__torch__.torch.classes.quantized.Conv2dPackedParamsBase"


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


MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


def pickled(tree: object) -> bytes:
    """One whole pickle."""
    return b"\x80\x02" + assemble(tree) + b"."


def write_stream(
    path: Path,
    tree: object,
    storages: list[tuple[str, int, bytes]],
    head: tuple[object, ...] = (MAGIC, PROTOCOL, {"little_endian": True}),
    keys: object = None,
) -> None:
    """Write the container before PyTorch 1.6; storages: key, count to state, and bytes."""
    keys = [key for key, _, _ in storages] if keys is None else keys
    content = b"".join(map(pickled, (*head, tree, keys)))
    content += b"".join(struct.pack("<q", count) + data for _, count, data in storages)
    path.write_bytes(content)


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


def refusal(path: Path, *functions: Callable[[Path], object]) -> str:
    """Return the text with which the functions, by default all readers, refuse `path`.

    Without its head, which has the function's name.
    """
    texts = set()
    for function in functions or (read_states, read):
        with pytest.raises(ValueError, match=rf"^{function.__name__}: ") as error:
            function(path)
        texts.add(str(error.value).removeprefix(f"{function.__name__}: {path}: "))
    (text,) = texts
    return text


def nest(depth: int) -> object:
    value: object = 0
    for _ in range(depth):
        value = [value]
    return value
