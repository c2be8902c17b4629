"""Migrated files that are damaged or lie are refused, and nothing in them runs."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from composed_archives import call, write_archive
from legacy import DATA
from safetensors.torch import save_file
from torch import Tensor

from torch_qconv_prepack.checkpoint import migrate, read, read_migrated
from torch_qconv_prepack.checkpoint._named_tensors import METADATA, digest

OLD = DATA / "torch-1.3.1/conv2d.B.chn.b.wzp.fbgemm.mod.pt"
Tensors = dict[str, Tensor]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Tensors:
    path = tmp_path_factory.mktemp("migrated") / "new.pth"
    migrate(OLD, path)
    loaded: Tensors = torch.load(path)
    return loaded


def metadata_tensor(value: object) -> Tensor:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return torch.tensor(list(text), dtype=torch.uint8)


def write(path: Path, tensors: Tensors) -> None:
    """Write tensors with a checksum that is right, so that other checks are reached."""
    tensors = {name: tensor.clone() for name, tensor in tensors.items()}
    if METADATA in tensors and len(tensors[METADATA]):
        try:
            metadata = json.loads(bytes(tensors[METADATA].tolist()))
        except ValueError:
            pass
        else:
            if isinstance(metadata, dict):
                metadata["sha256"] = digest(tensors)
                tensors[METADATA] = metadata_tensor(metadata)
    save_file(tensors, path) if path.suffix == ".safetensors" else torch.save(tensors, path)


GEOMETRY = [2, 2, 2, 2, 2, 2, 2, 0, 0, 2, 0, 1, 0]
BAD_GEOMETRY = (
    "'': geometry must start with 2 and end with two flags of 0 or 1 and a padding mode below 4, "
    "got a tuple of 13 values"
)
SIZES = "'': weight must have 3 to 5 dimensions and geometry the numbers for as many, got sizes "


def geometry(**changes: int) -> Tensor:
    numbers = list(GEOMETRY)
    for index, value in changes.items():
        numbers[int(index[1:])] = value
    return torch.tensor(numbers)


CHANGES: list[tuple[dict[str, Tensor | None], str]] = [
    ({"weight": None}, "'': tensor weight must be there, got none"),
    ({"weight_scale": None}, "'': tensor weight_scale must be there, got none"),
    ({"weight_zero_point": None}, "'': tensor weight_zero_point must be there, got none"),
    ({"weight": torch.ones(8, 2, 3, 2)}, "'': weight must be torch.int8, got torch.float32"),
    ({"bias": torch.ones(8).double()}, "'': bias must be torch.float32, got torch.float64"),
    ({"bias": torch.ones(7)}, "'': bias must have 8 elements, got 7"),
    ({"weight": torch.ones(8, dtype=torch.int8)}, SIZES + "(8) and (13)"),
    ({"geometry": torch.tensor(GEOMETRY[:-1])}, SIZES + "(8, 2, 3, 2) and (12)"),
    ({"geometry": geometry(_0=3)}, BAD_GEOMETRY),
    ({"geometry": geometry(_10=2)}, BAD_GEOMETRY),
    ({"geometry": geometry(_12=4)}, BAD_GEOMETRY),
    ({"geometry": geometry(_12=-1)}, BAD_GEOMETRY),
    ({"geometry": geometry(_1=0)}, "'': stride must be integers from 1 on, got (0, 2)"),
    ({"geometry": geometry(_3=-1)}, "'': padding must be integers from 0 on, got (-1, 2)"),
    ({"geometry": geometry(_9=0)}, "'': groups must be an integer above 0, got 0"),
    ({"geometry": geometry(_9=3)}, "'': groups must divide the channels, 8, got 3"),
    ({"geometry": geometry(_11=0)}, "'': scales and zero points must be 1 each, got others"),
    (
        {"weight_scale": torch.ones(7).double()},
        "'': scales and zero points must be 8 each, got others",
    ),
    (
        {"weight_scale": torch.full((8,), float("nan")).double()},
        "'': scales must be finite and above 0, got others",
    ),
    (
        {"weight_zero_point": torch.full((8,), 128).int()},
        "'': zero points must be in (-128, 127), got others",
    ),
    (
        {"output_scale": torch.ones(1).double()},
        "'': output_scale and output_zero_point must have no dimensions, got some",
    ),
]


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize(("changes", "text"), CHANGES)
def test_unsound_tensors_are_refused(
    tmp_path: Path, sound: Tensors, changes: dict[str, Tensor | None], text: str, suffix: str
) -> None:
    path = tmp_path / f"f{suffix}"
    tensors = {k: v for k, v in {**sound, **changes}.items() if v is not None}
    write(path, tensors)
    for function in (read_migrated, read):
        with pytest.raises(ValueError, match=rf"^{function.__name__}: ") as error:
            function(path)
        # torch.save's own reader finds what the dict lacks the same way.
        assert str(error.value) == f"{function.__name__}: {path}: {text}"


BAD_METADATA: list[tuple[object, str]] = [
    (None, f"tensors must have {METADATA}, as migrate writes it, got none"),
    (b"", f"{METADATA} must be JSON, got "),
    (b"\xff", f"{METADATA} must be JSON, got "),
    (b"[" * 10**5, f"{METADATA} must be JSON, got "),
    ([], "format must be migrated.1, got None"),
    ({"format": "migrated.2"}, "format must be migrated.1, got 'migrated.2'"),
    ({"format": {}}, "format must be migrated.1, got a dict"),
    (torch.ones(3), f"{METADATA} must be at most 16777216 bytes, got others"),
]


@pytest.mark.parametrize(("value", "text"), BAD_METADATA, ids=range(len(BAD_METADATA)))
def test_unsound_metadata_are_refused(
    tmp_path: Path, sound: Tensors, value: object, text: str
) -> None:
    tensors = {name: tensor for name, tensor in sound.items() if name != METADATA}
    if value is not None:
        tensors[METADATA] = value if isinstance(value, Tensor) else metadata_tensor(value)
    save_file(tensors, tmp_path / "f.safetensors")
    with pytest.raises(ValueError, match=r"^read_migrated: ") as error:
        read_migrated(tmp_path / "f.safetensors")
    assert str(error.value).partition(".safetensors: ")[2].startswith(text)


def test_metadata_of_other_types_are_looked_past(tmp_path: Path, sound: Tensors) -> None:
    for convolutions in (None, 7, {"": 7}, {"": {"class_name": 7}}):
        metadata = {"format": "migrated.1", "source": 7, "convolutions": convolutions}
        write(tmp_path / "f.safetensors", {**sound, METADATA: metadata_tensor(metadata)})
        found = read_migrated(tmp_path / "f.safetensors")
        assert (found.records[0].class_name, found.source) == ("", {})


def test_checksum_may_be_left_out(tmp_path: Path, sound: Tensors) -> None:
    changed = {**sound, "bias": sound["bias"] + 1}
    save_file(changed, tmp_path / "f.safetensors")
    with pytest.raises(ValueError, match=r"tensors must match their checksum, got altered ones$"):
        read_migrated(tmp_path / "f.safetensors")
    found = read_migrated(tmp_path / "f.safetensors", verify=False)
    assert torch.equal(found.tensors["bias"], changed["bias"])


def test_one_element_with_any_stride_has_the_same_checksum(sound: Tensors) -> None:
    strided = {
        name: torch.empty(0, dtype=tensor.dtype).set_(
            tensor.untyped_storage(), 0, tensor.shape, (48,) * tensor.dim()
        )
        if tensor.numel() == 1
        else tensor
        for name, tensor in {**sound, "one": torch.ones(1, 1)}.items()
    }
    assert digest(strided) == digest({**sound, "one": torch.ones(1, 1)})
    assert digest(strided) != digest(sound)


def test_nothing_in_a_state_dict_runs(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    tree = {METADATA: call("os.system", f"touch {marker}"), "geometry": call("builtins.exit")}
    write_archive(tmp_path / "f.pth", tree)
    with pytest.raises(ValueError, match=rf"tensors must have {METADATA}"):
        read_migrated(tmp_path / "f.pth")
    assert read(tmp_path / "f.pth") == []
    assert not marker.exists()


def test_tensors_that_share_memory_are_refused(tmp_path: Path, sound: Tensors) -> None:
    # A small file could have very many of them, and each be copied.
    bias = torch.ones(10_000)
    names = {f"{name}.bias": bias for name in range(100)}
    torch.save({**sound, **names}, tmp_path / "f.pth")
    text = r"tensors must not share memory, got more of them than bytes in the file$"
    for function in (read, read_migrated):
        with pytest.raises(ValueError, match=text):
            function(tmp_path / "f.pth")


@pytest.mark.parametrize(
    "head",
    [
        struct.pack("<Q", 2**63) + b"{",
        struct.pack("<Q", 10) + b"{" * 10,
        struct.pack("<Q", 60) + b'{"a":{"dtype":"I8","shape":[99],"data_offsets":[0,99]}}     ',
        struct.pack("<Q", 61) + b'{"a":{"dtype":"Q9","shape":[1],"data_offsets":[0,1]}}        7',
    ],
    ids=["length", "JSON", "size", "dtype"],
)
@pytest.mark.parametrize("function", [read, read_migrated])
def test_unsound_safetensors_file_is_refused(
    tmp_path: Path, head: bytes, function: Callable[[Path], object]
) -> None:
    (tmp_path / "f.safetensors").write_bytes(head)
    with pytest.raises(ValueError, match=rf"^{function.__name__}: .*: expected a "):
        function(tmp_path / "f.safetensors")


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_damaged_file_is_refused(tmp_path: Path, sound: Tensors, suffix: str) -> None:
    rng = random.Random(suffix)
    path = tmp_path / f"f{suffix}"
    write(path, sound)
    content = path.read_bytes()
    for _ in range(300):
        damaged = bytearray(content)
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged[: rng.choice([None, None, rng.randrange(len(damaged))])])
        try:
            found = read_migrated(path)
        except ValueError:
            continue
        # A byte that stands for nothing, such as a zip's padding.
        assert digest(found.tensors) == digest(sound)
