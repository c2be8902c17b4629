"""`migrate` writes plain tensors, which load anywhere and compute what the old file does."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from comparison import assert_matches
from legacy import DATA, LegacyFile, legacy_files
from safetensors.torch import load_file, save_file
from test_checkpoint_read import read_one, reference_of
from torch import Tensor, nn

from torch_qconv_prepack.checkpoint import (
    ConvRecord,
    _verify,
    migrate,
    read,
    read_migrated,
    read_states,
)
from torch_qconv_prepack.checkpoint._named_tensors import METADATA
from torch_qconv_prepack.checkpoint._verify import DifferentError, verify

SUFFIXES = (".safetensors", ".pth")
TENSOR_FIELDS = ("weight", "scales", "zero_points", "bias")
GEOMETRY = ("stride", "padding", "dilation", "output_padding", "groups", "transposed")


def assert_same_convolution(new: ConvRecord, old: ConvRecord) -> None:
    for field in TENSOR_FIELDS:
        a, b = getattr(new, field), getattr(old, field)
        assert (a is None) == (b is None)
        assert a is None or torch.equal(a, b)
        assert a is None or a.dtype == b.dtype
    for field in (*GEOMETRY, "per_channel", "padding_mode", "output_scale", "output_zero_point"):
        assert getattr(new, field) == getattr(old, field)


def load(path: Path) -> dict[str, Tensor]:
    """Load a migrated file without this package."""
    loaded: dict[str, Tensor] = (load_file if path.suffix == ".safetensors" else torch.load)(path)
    return loaded


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("file", legacy_files(), ids=lambda file: file.name)
def test_old_file_becomes_plain_tensors_that_compute_the_same(
    file: LegacyFile, suffix: str, tmp_path: Path
) -> None:
    old, expected = read_one(file)
    geometry = {"*": {field: getattr(old, field) for field in GEOMETRY}}
    target = tmp_path / f"new{suffix}"
    (migration,) = migrate(file.path, target, geometry=geometry if file.kind == "sd" else None)
    assert (migration.status, migration.convolutions) == ("migrated", 1)
    assert [path.name for path in tmp_path.iterdir()] == [target.name]

    (new,) = read_migrated(target).records
    assert_same_convolution(new, old)
    assert (new.name, new.class_name, new.format) == (old.name, old.class_name, "migrated.1")
    (again,) = read(target)
    assert_same_convolution(again, old)

    tensors = load(target)
    assert not any(tensor.is_quantized for tensor in tensors.values())
    y = plain_run(tensors, old.name, expected.x, expected.y, file)
    assert_matches(y, reference_of(expected, file, old.pack().engine()))


def plain_run(
    tensors: dict[str, Tensor], name: str, x: Tensor, y: Tensor, file: LegacyFile
) -> Tensor:
    """Run a convolution from the tensors alone, as docs/migrated_files.md says."""
    prefix = f"{name}." if name else ""
    part = {key.removeprefix(prefix): value for key, value in tensors.items()}
    dims, *numbers = part["geometry"].tolist()
    stride, padding, dilation, output_padding = (
        numbers[i * dims : (i + 1) * dims] for i in range(4)
    )
    groups, transposed, _per_channel, padding_mode = numbers[4 * dims :]
    assert padding_mode == 0
    weight = part["weight"]
    if transposed:
        (record,) = read_migrated_tensors(tensors)
        op = getattr(torch.ops.torch_qconv_prepack, file.op)
        result: Tensor = op(x, record.pack(), y.q_scale(), y.q_zero_point())
        return result
    assert not any(output_padding)
    inputs = x.int_repr()
    if file.is_1d and dims == 2:  # PyTorch's packed objects don't tell that they were 1-D
        inputs = inputs.unsqueeze(2)
    result = torch.ops.torch_qconv_prepack.qconv_pointwise(
        *(inputs, x.q_scale(), x.q_zero_point(), weight, part["weight_scale"]),
        *(part["weight_zero_point"], part.get("bias"), stride, padding, dilation, groups),
        *(y.q_scale(), y.q_zero_point(), torch.uint8),
        *("relu" if file.op.endswith("_relu") else "none", [], None),
    )
    return result.squeeze(2) if file.is_1d and dims == 2 else result


def read_migrated_tensors(tensors: dict[str, Tensor]) -> list[ConvRecord]:
    from torch_qconv_prepack.checkpoint._named_tensors import from_tensors

    return from_tensors(tensors)


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        nnq = torch.ao.nn.quantized
        self.stem = nnq.Conv2d(3, 8, 3, stride=2, padding=1, padding_mode="reflect")
        self.blocks = nn.ModuleList([nnq.Conv1d(4, 4, 3, groups=2), nnq.ConvTranspose3d(2, 3, 2)])


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    torch.save(Model(), tmp_path / "model.pt")
    return tmp_path / "model.pt"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_all_convolutions_of_a_model_are_in_one_file(model_file: Path, suffix: str) -> None:
    target = model_file.with_name(f"new{suffix}")
    (migration,) = migrate(model_file, target)
    assert migration.convolutions == 3
    old = {record.name: record for record in read(model_file)}
    migrated = read_migrated(target)
    assert [record.name for record in migrated.records] == ["blocks.0", "blocks.1", "stem"]
    for record in migrated.records:
        assert_same_convolution(record, old[record.name])
        assert record.class_name == old[record.name].class_name
    assert migrated.records[2].padding_mode == "reflect"
    assert migrated.source["name"] == "model.pt"
    assert migrated.source["size"] == model_file.stat().st_size
    assert read_states(model_file) == []


def test_both_kinds_hold_the_same_tensors(model_file: Path) -> None:
    safetensors, state_dict = (model_file.with_name(f"new{suffix}") for suffix in SUFFIXES)
    migrate(model_file, safetensors)
    migrate(model_file, state_dict)
    first, second = load(safetensors), load(state_dict)
    assert sorted(first) == sorted(second)
    assert all(torch.equal(first[name], second[name]) for name in first)
    # And so one can be made of the other with those packages' own functions.
    save_file(second, safetensors)
    assert len(read_migrated(safetensors).records) == 3


def test_tensors_are_those_of_the_documented_format(model_file: Path) -> None:
    migrate(model_file, model_file.with_name("new.pth"))
    tensors = load(model_file.with_name("new.pth"))
    text = (Path(__file__).parents[1] / "docs" / "migrated_files.md").read_text()
    for name, tensor in tensors.items():
        part = name if name == METADATA else name.rpartition(".")[2]
        (row,) = (line for line in text.splitlines() if line.startswith(f"| `{part}` |"))
        assert str(tensor.dtype).removeprefix("torch.") in row
    assert tensors["stem.geometry"].tolist() == [2, 2, 2, 1, 1, 1, 1, 0, 0, 1, 0, 0, 1]
    metadata = json.loads(bytes(tensors[METADATA].tolist()))
    assert set(metadata) == {"format", "source", "convolutions", "sha256"}
    assert set(metadata["source"]) == {"name", "size", "sha256"}
    assert metadata["convolutions"]["stem"] == {
        "format": "module",
        "class_name": "torch.ao.nn.quantized.modules.conv.Conv2d",
    }


CHANGES: list[dict[str, Any]] = [
    {"weight": "+1"},
    {"scales": "+1"},
    {"zero_points": "+1"},
    {"bias": "+1"},
    {"bias": None},
    {"stride": (3, 3)},
    {"padding": (0, 0)},
    {"groups": 3},
    {"per_channel": True},
    {"padding_mode": "zeros"},
    {"output_scale": 2.0},
    {"output_zero_point": None},
]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_another_convolution_is_not_taken_for_the_same(
    model_file: Path, change: dict[str, Any]
) -> None:
    stem = next(record for record in read(model_file) if record.name == "stem")
    verify(stem, stem)
    ((field, value),) = change.items()
    other = dataclasses.replace(
        stem, **{field: getattr(stem, field) + 1 if value == "+1" else value}
    )
    with pytest.raises(DifferentError, match=rf"^{field} must be "):
        verify(stem, other)


@pytest.mark.parametrize("name", ["_run_plain", "_run_packed"])
def test_another_result_is_not_taken_for_the_same(
    model_file: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    run = getattr(_verify, name)

    def wrong(*arguments: Any) -> Tensor:
        result: Tensor = run(*arguments).clone()
        result[0, 0] ^= 4
        return result

    monkeypatch.setattr(_verify, name, wrong)
    with pytest.raises(
        DifferentError, match=r"^migrate: 'stem': the new convolution must compute what"
    ):
        migrate(model_file, model_file.with_name("new.pth"))
    assert [path.name for path in model_file.parent.iterdir()] == [model_file.name]


def test_a_result_that_both_have_wrong_is_noticed(
    model_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = _verify._real_conv
    monkeypatch.setattr(_verify, "_real_conv", lambda record, x: real(record, x) * 1.5)
    with pytest.raises(DifferentError, match=r"result must be within 1 quantum of float64, got "):
        migrate(model_file, model_file.with_name("new.pth"))


def test_state_dict_needs_a_geometry(tmp_path: Path) -> None:
    torch.save(Model().state_dict(), tmp_path / "old.pt")
    target = tmp_path / "new.safetensors"
    text = r"^migrate: 'stem' must have a geometry, which a state_dict doesn't hold; give it with "
    with pytest.raises(ValueError, match=text):
        migrate(tmp_path / "old.pt", target)
    geometry: dict[str, dict[str, Any]] = {
        "stem": {"stride": 2, "padding": [1, 1]},
        "blocks.0": {"groups": 2},
    }
    with pytest.raises(ValueError, match=r"^migrate: 'blocks\.1' must have a geometry"):
        migrate(tmp_path / "old.pt", target, geometry=geometry)
    geometry["*"] = {"transposed": True}
    migrate(tmp_path / "old.pt", target, geometry=geometry)
    first, second, stem = read_migrated(target).records
    assert (stem.stride, stem.padding, stem.dilation, stem.groups) == ((2, 2), (1, 1), (1, 1), 1)
    assert (first.kind, first.groups) == ("conv1d", 2)
    assert (second.kind, second.output_padding) == ("conv_transpose3d", (0, 0, 0))


@pytest.mark.parametrize(
    ("geometry", "text"),
    [
        ({"a": 3}, "geometry of 'a' must be a mapping with stride, padding, dilation, "
                   "output_padding, groups, transposed, got 3"),
        ({"a": {"strides": 2}}, "geometry of 'a' must be a mapping with stride, "),
        ({"a": {"stride": "2"}}, "stride of 'a' must be an integer or one for each dimension, "
                                 "got '2'"),
        ({"a": {"groups": [2]}}, r"groups of 'a' must be an integer or one for each dimension, "
                                 r"got \[2\]"),
    ],
)  # fmt: skip
def test_unsound_geometry_is_refused(model_file: Path, geometry: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=f"^migrate: {text}"):
        migrate(model_file, model_file.with_name("new.pth"), geometry=geometry)


def test_wrong_geometry_is_refused(tmp_path: Path) -> None:
    torch.save(torch.ao.nn.quantized.Conv2d(4, 8, 3).state_dict(), tmp_path / "old.pt")
    for values, text in (
        ({"groups": 3}, r"groups must divide the channels, 8, got 3"),
        ({"stride": [1, 2, 3]}, r"stride must have 2 elements, got \(1, 2, 3\)"),
        ({"stride": 0}, r"stride must be integers from 1 on, got \(0, 0\)"),
    ):
        with pytest.raises(ValueError, match=f"^migrate: geometry of '': {text}"):
            migrate(tmp_path / "old.pt", tmp_path / "new.pth", geometry={"*": values})
    assert [path.name for path in tmp_path.iterdir()] == ["old.pt"]


def test_numbers_that_make_no_convolution_are_refused(tmp_path: Path) -> None:
    module = torch.ao.nn.quantized.ConvTranspose2d(4, 2, 2)
    module.output_padding = (0, 57)
    torch.save(module, tmp_path / "old.pt")
    with pytest.raises(ValueError, match=r"^migrate: '': .*output_padding must be smaller than"):
        migrate(tmp_path / "old.pt", tmp_path / "new.pth")
    assert [path.name for path in tmp_path.iterdir()] == ["old.pt"]


def test_arguments_are_checked(model_file: Path) -> None:
    folder = model_file.parent
    with pytest.raises(
        ValueError, match=r"^migrate: target must end in \.safetensors, \.pth, \.pt"
    ):
        migrate(model_file, folder / "new")
    with pytest.raises(
        ValueError, match=r"^migrate: kind must be safetensors or state_dict, got 'x'"
    ):
        migrate(model_file, folder / "new", kind="x")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^migrate: jobs must be an integer above 0, got 0"):
        migrate(folder, folder / "new", jobs=0)
    with pytest.raises(ValueError, match=r"^migrate: target must be another file than the source"):
        migrate(model_file, model_file, overwrite=True)
    with pytest.raises(ValueError, match=r"^migrate: target of a folder must be a folder"):
        migrate(folder, model_file)
    with pytest.raises(FileNotFoundError):
        migrate(folder / "nothing.pt", folder / "new.pth")
    torch.save({"a": 1}, folder / "empty.pt")
    with pytest.raises(
        ValueError, match=r"^migrate: source must hold quantized convolutions, got none"
    ):
        migrate(folder / "empty.pt", folder / "new.pth")


def test_kind_may_be_given_whatever_the_suffix(model_file: Path) -> None:
    target = model_file.with_name("new.bin")
    migrate(model_file, target, kind="safetensors")
    assert len(load_file(target)) > 3
    assert len(read_migrated(target).records) == 3


@pytest.mark.parametrize(
    "module",
    [
        torch.ao.nn.quantized.Conv2d(3, 8, 3, dilation=2**20),
        torch.ao.nn.quantized.Conv2d(3, 8, 1, padding=2**20),
        torch.ao.nn.quantized.ConvTranspose2d(3, 8, 1, stride=2**20),
        torch.ao.nn.quantized.Conv3d(3, 1, 1, padding=120),
    ],
    ids=["dilation", "padding", "stride", "output"],
)
def test_convolution_that_is_too_large_to_run_is_refused(tmp_path: Path, module: nn.Module) -> None:
    torch.save(module, tmp_path / "old.pt")
    with pytest.raises(ValueError, match=r"^migrate: '': running the convolution must take at "):
        migrate(tmp_path / "old.pt", tmp_path / "new.pth")


def test_convolutions_with_far_taps_are_run(tmp_path: Path) -> None:
    nnq = torch.ao.nn.quantized
    modules = [
        nnq.Conv2d(256, 8, 3, dilation=36),
        nnq.Conv2d(256, 8, 3, dilation=36, padding=36),
        nnq.ConvTranspose2d(8, 8, 16, stride=16, padding=4),
        nnq.Conv1d(2, 2, 3, stride=9, padding=50),
    ]
    torch.save(modules, tmp_path / "old.pt")
    (migration,) = migrate(tmp_path / "old.pt", tmp_path / "new.pth")
    assert migration.convolutions == len(modules)


def test_migrated_file_can_be_migrated(tmp_path: Path) -> None:
    old = DATA / "torch-1.3.1/conv2d.B.chn.b.wzp.fbgemm.mod.pt"
    migrate(old, tmp_path / "a.safetensors")
    migrate(tmp_path / "a.safetensors", tmp_path / "b.pth")
    (first,), (second,) = read(old), read_migrated(tmp_path / "b.pth").records
    assert_same_convolution(second, first)
