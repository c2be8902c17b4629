"""Packed states are read from the files of PyTorch's releases and of this package."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
import torch
from composed_archives import (
    CLASS_NAME,
    packed,
    per_channel,
    plain,
    state,
    storage,
    weight,
    write_archive,
)
from legacy import DATA, ExpectedFile, LegacyFile, decode, legacy_files

from torch_qconv_prepack.checkpoint import read_states


@pytest.mark.parametrize("file", legacy_files("raw", "obj", "freeze"), ids=lambda file: file.name)
def test_state_of_each_release_holds_what_was_packed(file: LegacyFile) -> None:
    expected = ExpectedFile(file)
    (saved,) = read_states(file.path)
    assert (saved.version, saved.dims) == (file.version, file.dims)
    assert saved.class_name == CLASS_NAME.replace("2d", f"{file.dims}d")
    weight, bias, config = decode(saved.version, saved.dims, saved.state)
    assert config == expected.config
    assert torch.equal(weight.int_repr(), expected.weight)
    if expected.axis < 0:
        assert weight.qscheme() == torch.per_tensor_affine
        assert weight.q_scale() == expected.scales
        assert weight.q_zero_point() == expected.zero_points
    else:
        assert weight.q_per_channel_axis() == expected.axis
        assert torch.equal(weight.q_per_channel_scales(), expected.scales)
        assert torch.equal(weight.q_per_channel_zero_points(), expected.zero_points)
    if expected.bias is None:
        assert bias is None
    else:
        assert torch.equal(bias, expected.bias)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("torch-1.6.0/conv1d.B.ten.b.fbgemm.obj.pth", "packed"),
        ("torch-1.6.0/conv2d.B.chn.b.wzp.fbgemm.raw.pt", "p"),
        ("torch-1.6.0/conv3d.B.ten.b.fbgemm.freeze.pt", "_packed_params"),
        ("torch-1.8.1/conv_transpose2d.B.ten.b.fbgemm.freeze.pt", "CONSTANTS.c0"),
    ],
)
def test_state_is_named_by_its_place(file: str, name: str) -> None:
    assert [saved.name for saved in read_states(DATA / file)] == [name]


def test_weight_keeps_its_channels_last_strides() -> None:
    (saved,) = read_states(DATA / "v3-torch-2.13.0/conv2d.B.chn.nb.fbgemm.obj.pth")
    weight = decode(saved.version, saved.dims, saved.state)[0]
    assert weight.shape == (8, 2, 3, 2)
    assert weight.stride() == (12, 1, 4, 2)


@pytest.mark.parametrize("file", legacy_files("mod"), ids=lambda file: file.name)
def test_scripted_module_holds_no_packed_state(file: LegacyFile) -> None:
    assert read_states(file.path) == []


def test_composed_archive_is_read(tmp_path: Path) -> None:
    tree = {"a": packed(state(weight())), "b": packed(state(weight(quantizer=per_channel())))}
    write_archive(tmp_path / "f.pt", tree)
    per_tensor, channels = (
        decode(s.version, 2, s.state)[0] for s in read_states(tmp_path / "f.pt")
    )
    assert per_tensor.int_repr().flatten().tolist() == [0, 1, 2, -3, -2, -1]
    assert (per_tensor.q_scale(), per_tensor.q_zero_point()) == (0.5, 3)
    assert channels.q_per_channel_scales().tolist() == [0.5, 0.25]
    assert channels.q_per_channel_zero_points().tolist() == [0, -7]


def test_big_endian_archive_is_read(tmp_path: Path) -> None:
    values = (2, 1, 1, 0, 0, 1, 1, 0, 0, 1, 258)
    config = plain(storage("Short", "config", 11), (11,))
    big = {"byteorder": b"big", "data/config": struct.pack(">11h", *values)}
    write_archive(tmp_path / "f.pt", packed(("2", [config, weight()], [None])), **big)
    (saved,) = read_states(tmp_path / "f.pt")
    assert saved.version == 2
    assert tuple(saved.state[1][0].tolist()) == values
