"""torch.load of the container before PyTorch 1.6, whose numbers follow behind the objects.

PyTorch packs what it builds before it has read them, and so nobody knows what; with drop-in mode on
what is in the file is packed.
"""

from __future__ import annotations

import io
import pickle
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import ops
import pytest
import torch
from comparison import assert_matches, compare
from conv_case import ConvCase
from packed_examples import every_example
from test_drop_in_modules import module_of
from torch.ao.nn import quantized as nnq

import torch_qconv_prepack as qconv


def stream(value: Any, before: bytes = b"") -> io.BytesIO:
    """A file of the old container, with its position behind some other bytes."""
    buffer = io.BytesIO(before)
    buffer.seek(len(before))
    torch.save(value, buffer, _use_new_zipfile_serialization=False)
    buffer.seek(len(before))
    return buffer


def load(file: Any, map_location: Any = None) -> Any:
    return torch.load(file, map_location, weights_only=False)


def full_of_ones(storage: torch.UntypedStorage, _: str) -> torch.UntypedStorage:
    """Memory as the process may find it: of this, PyTorch packs."""
    return storage.fill_(1)


pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")

PLAIN = ConvCase("plain", out_channels=16)


def test_pytorch_packs_what_was_in_memory_and_this_package_what_is_in_the_file() -> None:
    data = PLAIN.data()
    file = stream(module_of(nnq, PLAIN, data))
    off = load(file, full_of_ones)
    assert compare(off.forward(data.activation), data.expected()).worst > 10
    file.seek(0)
    with qconv.enabled():
        on = load(file, full_of_ones)
    assert ops.is_ours(on._packed_params)
    assert_matches(on.forward(data.activation), data.expected())


@every_example
def test_packed_objects_beside_other_values(case: ConvCase) -> None:
    data = case.data()
    with qconv.enabled():
        file = stream([torch.arange(3), {"a": ops.pack(data).as_quantized()}])
        tensor, objects = load(file, full_of_ones)
    assert tensor.tolist() == [0, 1, 2]
    assert ops.is_ours(objects["a"])
    assert_matches(ops.stock_run(data, objects["a"]), data.expected())


def test_state_of_version_3() -> None:
    data = ConvCase("far", in_channels=2, out_channels=2, stride=(40000,)).data()
    with qconv.enabled():
        params = load(stream(ops.pack(data).as_quantized()), full_of_ones)
    assert params.stride() == [40000, 40000]
    assert torch.equal(params.unpack()[0], data.weight)


class ReadOnly:
    """What torch.load asks of a file, and no more."""

    def __init__(self, file: io.BytesIO) -> None:
        self.read, self.readline = file.read, file.readline
        self.tell, self.seek = file.tell, file.seek


PLACES = {"none": None, "cpu": "cpu", "mapping": {"cpu": "cpu"}, "function": lambda *_: None}


@pytest.mark.parametrize("kind", ["path", "bytes", "behind other bytes", "read only"])
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_files_and_places(tmp_path: Path, kind: str, place: Any) -> None:
    data = PLAIN.data()
    with qconv.enabled():
        file: Any = stream(ops.pack(data).as_quantized(), b"head" * (kind == "behind other bytes"))
        if kind == "path":
            (tmp_path / "f.pth").write_bytes(file.getvalue())
            file = tmp_path / "f.pth"
        elif kind == "read only":
            file = ReadOnly(file)
        params = load(file, place)
    assert torch.equal(params.unpack()[0], data.weight)


def test_what_holds_no_convolution_is_loaded_as_before() -> None:
    values = {"x": torch.randn(3), "n": 7, "linear": torch.nn.Linear(2, 3)}
    with qconv.enabled():
        loaded = load(stream(values))
        assert torch.equal(torch.load(stream(values["x"])), values["x"])  # weights_only
    assert torch.equal(loaded["x"], values["x"])
    assert torch.equal(loaded["linear"].weight, values["linear"].weight)  # type: ignore[attr-defined]


@pytest.mark.parametrize("content", [b"", b"\x80\x02", b"\x80\x02K\x01.", b"text"])
def test_errors_are_pytorchs(content: bytes) -> None:
    errors = []
    for mode in (nullcontext(), qconv.enabled()):
        with mode, pytest.raises((EOFError, RuntimeError, pickle.UnpicklingError)) as error:
            load(io.BytesIO(content))
        errors.append((error.type, str(error.value)))
    assert errors[0] == errors[1]


def test_a_cut_file_is_refused() -> None:
    with qconv.enabled():
        content = stream(ops.pack(PLAIN.data()).as_quantized()).getvalue()
        for tenth in range(10):
            with pytest.raises((EOFError, RuntimeError, ValueError, pickle.UnpicklingError)):
                load(io.BytesIO(content[: len(content) * tenth // 10]))


def test_torch_load_is_pytorchs_again_when_the_mode_is_off() -> None:
    before = torch.serialization._legacy_load  # type: ignore[attr-defined]
    with qconv.enabled(), qconv.enabled():
        assert torch.serialization._legacy_load is not before  # type: ignore[attr-defined]
    assert torch.serialization._legacy_load is before  # type: ignore[attr-defined]
