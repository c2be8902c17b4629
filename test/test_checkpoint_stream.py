"""The container of torch.save before PyTorch 1.6: read where sound, refused where not."""

from __future__ import annotations

import pickle
import random
from pathlib import Path

import pytest
import torch
from composed_archives import (
    MAGIC,
    PER_TENSOR,
    PROTOCOL,
    call,
    packed,
    pickled,
    plain,
    refusal,
    state,
    weight,
    write_stream,
)
from legacy import DATA

from torch_qconv_prepack.checkpoint import read, read_states
from torch_qconv_prepack.checkpoint._nodes import Global, PersistentId

WEIGHT = ("0", 6, bytes([0, 1, 2, 253, 254, 255]))


def storage(kind: str = "QInt8", key: object = "0", count: object = 6, *more: object) -> object:
    identity = ("storage", Global(f"torch.{kind}Storage"), key, "cpu", count, *(more or (None,)))
    return PersistentId(identity)


def tree(where: object = None) -> dict[str, object]:
    return {"p": packed(state(weight(where or storage())))}


def test_storages_are_found_behind_those_of_every_type(tmp_path: Path) -> None:
    others = [
        ("Bool", 1, 1), ("Half", 3, 2), ("Int", 2, 4), ("Double", 1, 8), ("ComplexDouble", 1, 16),
    ]  # fmt: skip
    nodes = [plain(storage(kind, kind, count), (count,)) for kind, count, _ in others]
    storages = [(kind, count, bytes(count * size)) for kind, count, size in others]
    write_stream(tmp_path / "f.pt", [*nodes, tree()], [*storages, WEIGHT])
    (record,) = read(tmp_path / "f.pt")
    assert record.name == "[5].p"
    assert record.weight.flatten().tolist() == [0, 1, 2, -3, -2, -1]
    (saved,) = read_states(tmp_path / "f.pt")
    assert torch.equal(saved.state[2][1].int_repr(), record.weight)  # type: ignore[index]


def test_state_dict_of_python_2_is_read(tmp_path: Path) -> None:
    values = {
        "weight": weight(storage(), quantizer=PER_TENSOR),
        "bias": None,
        "scale": 0.5,
        "zero_point": 3,
    }
    pairs = [[key, value] for key, value in values.items()]
    ordered = call("collections.OrderedDict", pairs)
    write_stream(tmp_path / "f.pt", ordered, [WEIGHT])
    (record,) = read(tmp_path / "f.pt")
    assert (record.format, record.output_scale, record.bias) == ("state_dict", 0.5, None)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_modules_source_is_looked_past(tmp_path: Path, protocol: int) -> None:
    # What PyTorch writes around a module's class; the source would be compared, never run.
    module = torch.ao.nn.quantized.Conv2d(3, 4, 2)
    torch.save(
        [module],
        tmp_path / "f.pt",
        pickle_protocol=protocol,
        _use_new_zipfile_serialization=False,
    )
    assert b"module" in (tmp_path / "f.pt").read_bytes()
    (record,) = read(tmp_path / "f.pt")
    assert record.class_name == "torch.ao.nn.quantized.modules.conv.Conv2d"


NO_MAGIC = (
    "expected a file of torch.save, which begins with a magic number, got a pickle of something "
    "else"
)
KEYS = "storages' keys must be those of the object tree, each once, got "
BAD = [
    ({"head": (7,)}, NO_MAGIC),
    ({"head": (MAGIC, 1000, {})}, "protocol must be 1001, got 1000"),
    ({"keys": {}}, "storages' keys must be a list, got a dict"),
    ({"keys": ["0", "0"]}, KEYS + "'0'"),
    ({"keys": ["1"]}, KEYS + "'1'"),
    ({"keys": [[]]}, KEYS + "()"),
    ({"keys": []}, "'p': file must have a storage '0', got none of that key"),
]


@pytest.mark.parametrize(("changes", "text"), BAD)
def test_unsound_stream_is_refused(tmp_path: Path, changes: dict[str, object], text: str) -> None:
    write_stream(tmp_path / "f.pt", tree(), [WEIGHT], **changes)  # type: ignore[arg-type]
    assert refusal(tmp_path / "f.pt") == text


INT64 = 2**63 - 1
OUTSIDE = "storage '0' must lie in the file of {size} bytes, got "


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (7, OUTSIDE + "7 elements at byte {data}"),
        (INT64, OUTSIDE + f"{INT64} elements at byte {{data}}"),
        (-1, OUTSIDE + "none"),
        (5, "'p': storage '0' must have 6 elements of torch.int8, got 5 bytes"),
    ],
)
def test_storage_outside_the_file_is_refused(tmp_path: Path, count: int, text: str) -> None:
    write_stream(tmp_path / "f.pt", tree(), [("0", count, WEIGHT[2])])
    size = (tmp_path / "f.pt").stat().st_size
    assert refusal(tmp_path / "f.pt") == text.format(size=size, data=size - 6)


def test_count_cut_off_by_the_end_of_the_file_is_refused(tmp_path: Path) -> None:
    write_stream(tmp_path / "f.pt", tree(), [])
    content = (tmp_path / "f.pt").read_bytes()
    content = content[: -len(pickled([]))] + pickled(["0"]) + b"\6\0\0"
    (tmp_path / "f.pt").write_bytes(content)
    assert refusal(tmp_path / "f.pt") == (
        f"storage '0' must lie in the file of {len(content)} bytes, got none"
    )


NO_STORAGE = "'p': a tensor's storage must be ('storage', type, key, device, elements), got "


@pytest.mark.parametrize(
    ("where", "text"),
    [
        (storage("Own"), "a storage must be a numeric type of torch, got 'torch.OwnStorage'"),
        (storage("QInt8", "0", 6, ("1", 0, 6)), "storage '0' must be no view of another, got one"),
        (storage("QInt8", 0), "expected a storage or a module, got a tuple of 6 values"),
        (PersistentId(7), "expected a storage or a module, got 7"),
        (PersistentId(("module", 7)), NO_STORAGE + "a PersistentId"),
    ],
)
def test_unsound_persistent_id_is_refused(tmp_path: Path, where: object, text: str) -> None:
    write_stream(tmp_path / "f.pt", tree(where), [])
    assert refusal(tmp_path / "f.pt") == text


def test_storage_of_two_types_is_refused(tmp_path: Path) -> None:
    nodes = [plain(storage(kind), (1,)) for kind in ("Byte", "Double")]
    write_stream(tmp_path / "f.pt", nodes, [WEIGHT])
    assert refusal(tmp_path / "f.pt") == "storage '0' must have one type, got several"


def test_length_in_a_stream_that_exceeds_the_file_is_refused(tmp_path: Path) -> None:
    head = b"".join(map(pickled, (MAGIC, PROTOCOL, {})))
    (tmp_path / "f.pt").write_bytes(head + b"\x80\x04\x8d" + (2**62).to_bytes(8, "little") + b"a")
    assert refusal(tmp_path / "f.pt") == (
        f"pickle must be whole, got one cut or garbled (expected {2**62} bytes in a "
        "unicodestring8, but only 1 remain)"
    )


@pytest.mark.parametrize("position", range(5))
def test_nothing_in_a_stream_runs(tmp_path: Path, position: int) -> None:
    marker = tmp_path / "ran"
    node = call("os.system", f"touch {marker}")
    pickle.loads(pickled(node))
    assert marker.exists(), "the attack must work where it is let"
    marker.unlink()

    parts: list[object] = [MAGIC, PROTOCOL, {}, tree(), ["0"]]
    parts[position] = [node, parts[3]] if position == 3 else node
    write_stream(tmp_path / "f.pt", parts[3], [WEIGHT], tuple(parts[:3]), parts[4])
    if position in (2, 3):  # what nobody looks at, and a value beside a convolution
        assert len(read(tmp_path / "f.pt")) == 1
    else:
        refusal(tmp_path / "f.pt")
    assert not marker.exists()


def test_damaged_stream_is_read_or_refused(tmp_path: Path) -> None:
    rng = random.Random(1)
    sound = (DATA / "torch-1.3.1/conv2d.B.chn.nb.fbgemm.sd.pth").read_bytes()
    path = tmp_path / "f.pth"
    refused = 0
    for _ in range(400):
        damaged = bytearray(sound)
        damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        path.write_bytes(damaged[: rng.choice([None, None, rng.randrange(len(damaged))])])
        try:
            records = read(path)
        except ValueError as error:
            records = []
            refused += str(error).startswith(f"read: {path}: ")
        assert len(records) <= 1
    assert refused > 100
