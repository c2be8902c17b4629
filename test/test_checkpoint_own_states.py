"""Packed convolutions of this package are found in files, and packed again from what is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ops
import pytest
import torch
from composed_archives import packed, state, weight, write_archive
from conv_case import ConvCase
from packed_examples import EXAMPLES, assert_same_params, every_example
from saved_states import OWN_CLASS, OWN_TAG, STOCK_CLASS, state_of
from torch import nn

import torch_qconv_prepack as qconv
from torch_qconv_prepack.checkpoint import SavedState, read_states


class Block(nn.Module):
    def __init__(self, params: Any) -> None:
        super().__init__()
        self.params = params

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.ops.torch_qconv_prepack.conv2d(x, self.params, 1.0, 0)


def assert_read(saved: SavedState, params: Any, case: ConvCase) -> None:
    dims = max(case.dims, 2)
    assert (saved.version, saved.dims) == (OWN_TAG, dims)
    assert saved.class_name == OWN_CLASS.format(dims)
    assert saved.state == state_of(params)
    back = qconv.from_state(saved.state, dims=saved.dims)
    assert_same_params(back, params, case.data())


@every_example
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_state_in_a_file_of_torch_save(case: ConvCase, protocol: int, tmp_path: Path) -> None:
    params = ops.pack(case.data())
    torch.save({"stem": [params]}, tmp_path / "f.pt", pickle_protocol=protocol)
    (saved,) = read_states(tmp_path / "f.pt")
    assert saved.name == "stem[0]"
    assert_read(saved, params, case)


class Holder(nn.Module):
    def __init__(self, params: Any) -> None:
        super().__init__()
        self.params = params


@every_example
def test_state_in_a_file_of_torchscript(case: ConvCase, tmp_path: Path) -> None:
    params = ops.pack(case.data())
    torch.jit.script(Holder(params)).save(str(tmp_path / "f.pt"))
    (saved,) = read_states(tmp_path / "f.pt")
    assert saved.name == "params"
    assert_read(saved, params, case)


def test_state_in_a_file_of_frozen_torchscript(tmp_path: Path) -> None:
    case = EXAMPLES[1]
    params = ops.pack(case.data())
    torch.jit.freeze(torch.jit.script(Block(params).eval())).save(str(tmp_path / "f.pt"))
    (saved,) = read_states(tmp_path / "f.pt")
    assert saved.name == "CONSTANTS.c0"
    assert_read(saved, params, case)


def test_states_of_both_packages_are_listed_in_the_order_of_the_file(tmp_path: Path) -> None:
    data = EXAMPLES[1].data()
    own, stock = ops.pack(data), ops.stock_pack(data, "fbgemm")
    objects = {"own": own, "stock": stock, "guise": own.as_quantized(), "again": own}
    torch.save(objects, tmp_path / "f.pt")
    states = read_states(tmp_path / "f.pt")
    assert [(saved.name, saved.version) for saved in states] == [
        ("own", OWN_TAG),
        ("stock", 2),
        ("guise", 2),
    ]
    assert states[2].class_name == STOCK_CLASS.format(2)
    for saved in states:
        params = qconv.from_state(saved.state, dims=saved.dims)
        assert torch.equal(params.weight().int_repr(), own.weight().int_repr())


def test_state_of_pytorchs_in_an_object_of_this_package_is_read(tmp_path: Path) -> None:
    # A program may have written it; the class's __setstate__ reads every version.
    node = packed(state(weight()))
    node.state = (node.state[0], OWN_CLASS.format(2))
    write_archive(tmp_path / "f.pt", {"p": node})
    (saved,) = read_states(tmp_path / "f.pt")
    assert (saved.version, saved.class_name) == (3, OWN_CLASS.format(2))
    assert qconv.from_state(saved.state).groups() == 1


def test_weights_of_a_large_model_are_read(tmp_path: Path) -> None:
    text = "A" * (40 << 20)
    node = packed((OWN_TAG, "fbgemm", [2], text))
    write_archive(tmp_path / "f.pt", {"p": node})
    (saved,) = read_states(tmp_path / "f.pt")
    assert saved.state == (OWN_TAG, "fbgemm", [2], text)
