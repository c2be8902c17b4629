"""Nothing in a file runs, and no pickle exhausts the process that reads it."""

from __future__ import annotations

import contextlib
import pickle
import random
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from composed_archives import (
    CLASS_NAME,
    assemble,
    call,
    nest,
    packed,
    refusal,
    state,
    weight,
    write_archive,
)
from legacy import DATA, LegacyFile, legacy_files

from torch_qconv_prepack.checkpoint import _archive, _unpickler, read, read_states
from torch_qconv_prepack.checkpoint._nodes import Node


@pytest.mark.parametrize("place", ["beside", "inside"])
@pytest.mark.parametrize(
    "attack",
    [
        lambda marker: call("os.system", f"touch {marker}"),
        lambda marker: call("builtins.exec", f"open({str(marker)!r}, 'w')"),
        lambda marker: call("builtins.open", str(marker), "w"),
        lambda marker: call("code_of_the_file.Payload"),
    ],
    ids=["os.system", "exec", "open", "import"],
)
def test_nothing_in_a_file_runs(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    attack: Callable[[Path], Node],
    place: str,
) -> None:
    marker = tmp_path / "ran"
    (tmp_path / "code_of_the_file.py").write_text(f"open({str(marker)!r}, 'w')\nPayload = dict\n")
    monkeypatch.syspath_prepend(tmp_path)
    node = attack(marker)
    pickle.loads(assemble(node) + b".")
    assert marker.exists(), "the attack must work where it is let"
    marker.unlink()
    sys.modules.pop("code_of_the_file", None)

    if place == "beside":
        write_archive(tmp_path / "f.pt", {"a": node, "p": packed(state(weight()))})
        assert [saved.name for saved in read_states(tmp_path / "f.pt")] == ["p"]
        assert [record.name for record in read(tmp_path / "f.pt")] == ["p"]
    else:
        write_archive(tmp_path / "f.pt", {"p": packed(state(node))})
        target = node.path
        assert refusal(tmp_path / "f.pt") == f"'p': expected a tensor, got an object of {target}"
    assert not marker.exists()
    assert "code_of_the_file" not in sys.modules


CUT = "pickle must be whole, got one cut or garbled "
MISSING = "pickle must only use what it put on its stack, got a missing value at byte "
OPCODE = "pickle must use opcodes of protocols 2 to 5, got "
SET_TWICE = "pickle must set the state of a new object once, got "
DEEP = "object tree must be at most 256 deep, with names of at most 4096 characters, got more at "


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"}", CUT + "(pickle exhausted before seeing STOP)"),
        (
            b"X\xff\xff\xff\x7fa.",
            CUT + "(expected 2147483647 bytes in a unicodestring4, but only 2 remain)",
        ),
        (b".", MISSING + "2"),
        (b"Nt.", MISSING + "3"),
        (b"h\x07.", MISSING + "2"),
        (b"(d.", OPCODE + "DICT"),
        (b"(ios\nsystem\n.", OPCODE + "INST"),
        (b"\x82\x01.", OPCODE + "EXT1"),
        (b"K\x01K\x02\x93.", "pickle must name classes by text, got 1, 2"),
        (
            b"c" + b"a" * 1000 + b"\nb\n.",
            "pickle must name classes in at most 1000 characters, got more",
        ),
        (b"ca\nb\n)RNbNb.", SET_TWICE + "an object of a.b"),
        (b"ca\nb\nNb.", SET_TWICE + "the name a.b"),
        (b"}Na.", "pickle must append to a list, got a dict"),
        (b"}(Nu.", "pickle must give each dict key a value, got one without"),
        (b"]NNs.", "pickle must set items of a dict, got ()"),
        (assemble(nest(300)) + b".", DEEP + repr("[0]" * 20 + "...")),
        (assemble({"k" * 4097: [0]}) + b".", DEEP + repr("k" * 60 + "...")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_unsound_pickle_is_refused(tmp_path: Path, body: bytes, text: str) -> None:
    write_archive(tmp_path / "f.pt", None, **{"data.pkl": b"\x80\x02" + body})
    assert refusal(tmp_path / "f.pt") == text


@pytest.mark.parametrize(
    "body",
    [
        b"})" + b"\x85" * 300_000 + b"Ns.",  # hashing this key would overflow the C stack
        b"]r\xff\xff\xff\x7f.",  # 16 GiB, in pickle's memo
        b"]" + b"q\x00]h\x00ah\x00a" * 200 + b".",  # 2**200 paths through shared lists
        b"]q\x00h\x00a.",  # a list that holds itself
        # 30 GB of names, if each of the dicts copied the key that they share
        b"](" + b"X\x40\x42\x0f\0" + b"k" * 10**6 + b"q\x000" + b"}h\x00K\x01s" * 30_000 + b"e.",
    ],
    ids=["deep key", "far memo", "shared lists", "cycle", "shared key"],
)
def test_pickle_that_would_exhaust_the_process_is_looked_through(
    tmp_path: Path, body: bytes
) -> None:
    write_archive(tmp_path / "f.pt", None, **{"data.pkl": b"\x80\x02" + body})
    assert read_states(tmp_path / "f.pt") == []
    assert read(tmp_path / "f.pt") == []


def test_state_of_shared_lists_is_not_expanded(tmp_path: Path) -> None:
    lists = b"]q\x00" + (b"0](" + b"h\x00" * 100 + b"eq\x00") * 6  # 100**6 elements, one by one
    data = b"\x80\x02ctorch\nScriptObject\n)\x81(K\x03" + lists + b"t" + assemble(CLASS_NAME)
    write_archive(tmp_path / "f.pt", None, **{"data.pkl": data + b"\x86b."})
    assert len(read_states(tmp_path / "f.pt")) == 1


def test_size_of_a_pickle_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_archive(tmp_path / "f.pt", [0] * 100)
    monkeypatch.setattr(_unpickler, "MAX_OPCODES", 100)
    assert refusal(tmp_path / "f.pt") == "pickle must have at most 100 opcodes, got more"
    monkeypatch.setattr(_unpickler, "MAX_OPCODES", 1000)
    monkeypatch.setattr(_unpickler, "MAX_OBJECTS", 10)
    write_archive(tmp_path / "g.pt", [[]] * 9)
    assert read(tmp_path / "g.pt") == []
    write_archive(tmp_path / "g.pt", [[]] * 10)
    text = "pickle must make at most 10 tuples, lists, dicts and objects, got more"
    assert refusal(tmp_path / "g.pt") == text
    monkeypatch.setattr(_archive, "MAX_PICKLE_BYTES", 100)
    text = r"member 'data.pkl' must have at most 100 bytes, got 206"
    assert refusal(tmp_path / "f.pt") == text


def test_pairs_of_an_ordered_dict_are_limited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One list of pairs, made to many dicts: 2**40 items in a file of a few megabytes.
    pairs = b"](" + b"".join(assemble([i, i]) for i in range(50)) + b"eq\x00"
    made = b"(h\x00tq\x020" + b"](" + b"ccollections\nOrderedDict\nh\x02R" * 30 + b"e."
    write_archive(tmp_path / "f.pt", None, **{"data.pkl": b"\x80\x02" + pairs + b"0" + made})
    assert read_states(tmp_path / "f.pt") == []
    monkeypatch.setattr(_unpickler, "MAX_OPCODES", 1000)
    assert refusal(tmp_path / "f.pt") == "pickle must use each list of pairs once, got more"


def damage(data: bytes, rng: random.Random) -> bytes:
    """Change one byte, and cut off the end now and then."""
    damaged = bytearray(data)
    damaged[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(damaged[: rng.choice([None, None, rng.randrange(len(data))])])


def outcome(path: Path) -> str:
    try:
        found = len(read_states(path))
    except ValueError as error:
        text = str(error)
    else:
        with contextlib.suppress(ValueError):  # of a state that is damaged
            assert len(read(path)) >= found
        return f"{found} states"
    return f"read_states: {path}: {refusal(path)}" if text.startswith("read_states: ") else text


OWN_FILES = [
    f
    for f in legacy_files("raw", "obj", "freeze")
    if DATA in f.path.parents and zipfile.is_zipfile(f.path)
]


@pytest.mark.parametrize("file", OWN_FILES[::4], ids=lambda file: file.name)
def test_damaged_file_is_read_or_refused(tmp_path: Path, file: LegacyFile) -> None:
    rng = random.Random(file.name)
    path = tmp_path / "f.pt"
    with zipfile.ZipFile(file.path) as archive:
        members = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    outcomes = []
    for _ in range(100):
        path.write_bytes(damage(file.path.read_bytes(), rng))
        outcomes.append(outcome(path))
        # In an archive that is sound, so that the damage reaches the pickle reader.
        write_archive(path, None, **{**members, "data.pkl": damage(members["data.pkl"], rng)})
        outcomes.append(outcome(path))
    refused = [text for text in outcomes if text.startswith(f"read_states: {path}: ")]
    assert len(refused) > 50
    assert {text for text in outcomes if text not in refused} <= {"0 states", "1 states"}
