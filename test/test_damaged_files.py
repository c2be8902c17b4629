"""A saved object with one changed byte is refused, or is still the same object: nothing between."""

from __future__ import annotations

import io
import pickle
import pickletools
import random
import zipfile
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import ops
import pytest
import torch
from packed_examples import EXAMPLES, facts
from torch import nn

EDITS = 400  # of one file: most of its bytes


def values(data: bytes) -> Iterator[int]:
    """Positions of the characters and digits that a pickle holds.

    The bytes between them are left alone: a changed opcode can make torch use a torch.ScriptObject
    that has no state yet, which crashes it, whatever the object's class; and for a changed length
    TorchScript asks for gigabytes.
    """
    for (opcode, _, start), (_, _, end) in pairwise(pickletools.genops(data)):
        if opcode.name == "GLOBAL":
            yield from (i for i in range(start + 1, end) if data[i] not in b"\n")
        else:
            # Opcode, then the length of a text (4 bytes) or of a long integer (1).
            head = {"BINUNICODE": 5, "LONG1": 2, "BININT1": 1, "BININT": 1}.get(opcode.name)
            yield from range(start + head, end) if head else ()


def pickle_in_archive(data: bytes) -> tuple[int, int]:
    """Where data.pkl starts and ends in a zip archive that compresses nothing."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        content = archive.read("archive/data.pkl")
    start = data.index(content)
    return start, start + len(content)


def pickled(params: Any) -> bytes:
    return pickle.dumps(params, protocol=2)


def saved(params: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(params, buffer, **options)
    return buffer.getvalue()


def saved_old(params: Any) -> bytes:
    return saved(params, _use_new_zipfile_serialization=False)


def load(data: bytes) -> Any:
    return torch.load(io.BytesIO(data), weights_only=False)


def everywhere(data: bytes) -> Iterator[int]:
    """Every byte of an archive, but of its pickle the values alone."""
    start, end = pickle_in_archive(data)
    yield from range(start)
    yield from (start + i for i in values(data[start:end]))
    yield from range(end, len(data))


def old_values(data: bytes) -> Iterator[int]:
    """The old format is five pickles in a row: magic number, version, system, object, storages."""
    start = 0
    while start < len(data):
        *_, (_, _, stop) = pickletools.genops(data[start:])
        yield from (start + i for i in values(data[start : start + stop + 1]))
        start += stop + 1


FORMATS: dict[str, tuple[Callable[..., bytes], Callable[..., Any], Callable[..., Any]]] = {
    "pickle": (pickled, pickle.loads, values),
    "torch.save": (saved, load, everywhere),
    "torch.save-old_format": (saved_old, load, old_values),
}


def edited(data: bytes, positions: list[int], rng: random.Random) -> Iterator[tuple[int, bytes]]:
    for position in rng.sample(positions, min(EDITS, len(positions))):
        damaged = bytearray(data)
        damaged[position] ^= rng.randrange(1, 256)
        yield position, bytes(damaged)


def outcome(load: Callable[[], Any], expected: dict[str, Any]) -> str:
    """Whether the object that comes is the same or another one; or the name of the error."""
    try:
        params = load()
    except Exception as error:
        return type(error).__name__
    return "same" if facts(params) == expected else "another"


@pytest.mark.parametrize("case", EXAMPLES, ids=str)
@pytest.mark.parametrize("name", FORMATS)
def test_file_of_torch_save(case: Any, name: str) -> None:
    params = ops.pack(case.but(in_channels=4, out_channels=4).data())
    save, load, positions = FORMATS[name]
    data = save(params)
    expected = facts(params)
    rng = random.Random(f"{case} {name}")
    outcomes = {
        position: outcome(lambda d=damaged: load(d), expected)
        for position, damaged in edited(data, list(positions(data)), rng)
    }
    assert [p for p, text in outcomes.items() if text == "another"] == []
    refused = sum(text != "same" for text in outcomes.values())
    assert refused > len(outcomes) / 3


@pytest.mark.parametrize("case", EXAMPLES, ids=str)
def test_state_within_a_file(case: Any) -> None:
    # Here it is this package that refuses, and says so.
    params = ops.pack(case.but(in_channels=4, out_channels=4).data())
    data = pickled(params)
    first, last = data.index(b"torch_qconv_prepack.1"), data.rindex(b"__torch__")
    positions = [p for p in values(data) if first <= p < last]
    own_text = f"Conv{max(case.dims, 2)}dPackedParams.__setstate__: "
    unnoticed = []
    for position, damaged in edited(data, positions, random.Random(str(case))):
        try:
            pickle.loads(damaged)
            unnoticed.append(position)
        except UnicodeDecodeError:
            pass  # pickle's own, of a text that is no UTF-8
        except (ValueError, TypeError) as error:
            if not str(error).startswith(own_text):
                raise
    assert unnoticed == []


class Holder(nn.Module):
    def __init__(self, params: Any) -> None:
        super().__init__()
        self.params = params


@pytest.mark.parametrize("case", EXAMPLES, ids=str)
def test_file_of_torchscript(case: Any) -> None:
    params = ops.pack(case.but(in_channels=4, out_channels=4).data())
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(Holder(params)), buffer)
    data = buffer.getvalue()
    expected = facts(params)
    outcomes = {
        position: outcome(lambda d=damaged: torch.jit.load(io.BytesIO(d)).params, expected)
        for position, damaged in edited(data, list(everywhere(data)), random.Random(str(case)))
    }
    assert [p for p, text in outcomes.items() if text == "another"] == []
    assert sum(text != "same" for text in outcomes.values()) > len(outcomes) / 4
