"""Packed states are read from the files of PyTorch's releases; nothing in a file runs."""

from __future__ import annotations

import pickle
import random
import struct
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from legacy import (
    CLASS_NAME,
    DATA,
    PER_TENSOR,
    SCALES,
    ZERO_POINTS,
    ExpectedFile,
    LegacyFile,
    assemble,
    call,
    decode,
    edit_directory,
    legacy_files,
    packed,
    per_channel,
    plain,
    state,
    storage,
    weight,
    write_archive,
)

from torch_qconv_prepack.checkpoint import _archive, _unpickler, read_states
from torch_qconv_prepack.checkpoint._nodes import Global, Node, PersistentId


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


def refusal(path: Path) -> str:
    """Return the text with which `path` is refused, without its head."""
    with pytest.raises(ValueError, match=r"^read_states: ") as error:
        read_states(path)
    return str(error.value).removeprefix(f"read_states: {path}: ")


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
    else:
        write_archive(tmp_path / "f.pt", {"p": packed(state(node))})
        target = node.path
        assert refusal(tmp_path / "f.pt") == f"'p': expected a tensor, got an object of {target}"
    assert not marker.exists()
    assert "code_of_the_file" not in sys.modules


def nest(depth: int) -> object:
    value: object = 0
    for _ in range(depth):
        value = [value]
    return value


def got(size: str = "(2, 3, 1, 1)", stride: str = "(3, 1, 1, 1)", offset: int = 0) -> str:
    return f", got offset {offset}, size {size}, stride {stride}"


INT64 = 2**63 - 1
OUTSIDE = "a tensor must lie inside its storage of 6 elements"
NO_VIEW = "a tensor must have an offset, sizes and as many strides, all >= 0"
NO_STORAGE = "a tensor's storage must be ('storage', type, key, device, elements), got "
NO_QUANTIZER = (
    "a quantizer must be (per_tensor_affine, scale, zero_point) or "
    "(per_channel_affine, scales, zero_points, axis), got "
)
BAD_SCALE = "scales must be finite and above 0, got others"
BAD_ZERO_POINT = "zero points of torch.qint8 must be in (-128, 127), got "
BAD_SCALES = "scales must be 2 contiguous values of torch.float64, got shape (2) of "
REBUILD = "torch._utils._rebuild_qtensor"
PARAMETER = "torch._utils._rebuild_parameter"
NAN = plain(storage("Double", "nan", 2), (2,))
FAR = plain(storage("Long", "far", 2), (2,))

UNSOUND_TENSORS = [
    (weight(size=(2, 4, 1, 1)), OUTSIDE + got("(2, 4, 1, 1)")),
    (weight(offset=1), OUTSIDE + got(offset=1)),
    (weight(stride=(4, 1, 1, 1)), OUTSIDE + got(stride="(4, 1, 1, 1)")),
    # The last element would be at 1 * stride + 2, which wraps around in 64 bits.
    (weight(stride=(INT64, 1, 1, 1)), OUTSIDE + got(stride=f"({INT64}, 1, 1, 1)")),
    (weight(size=(0, 3, 1, 1), offset=7), OUTSIDE + got("(0, 3, 1, 1)", offset=7)),
    (weight(stride=(-3, 1, 1, 1), offset=3), NO_VIEW + got(stride="(-3, 1, 1, 1)", offset=3)),
    (weight(offset=-1), NO_VIEW + got(offset=-1)),
    (weight(size=(2**64, 3, 1, 1)), NO_VIEW + got("(an integer of 65 bits, 3, 1, 1)")),
    (weight(stride=(3, 1)), NO_VIEW + got(stride="(3, 1)")),
    (weight(size=[2, 3, 1, 1]), NO_VIEW + got()),
    (
        weight(size=(1,) * 65, stride=(1,) * 65),
        NO_VIEW + got("a tuple of 65 values", "a tuple of 65 values"),
    ),
    (
        weight(size=(2, 2**30), stride=(0, 0)),
        f"a tensor must not be larger than its file, got size (2, {2**30})",
    ),
    (
        weight(storage(count=5), (1, 1), (1, 1)),
        "storage 'data/0' must have 5 elements of torch.qint8, got 6 bytes",
    ),
    (
        weight(storage(count=2**80)),
        "storage 'data/0' must have an integer of 81 bits elements of torch.qint8, got 6 bytes",
    ),
    (
        weight(storage(key="../0")),
        "archive must have a member 'data/../0', got none of that name",
    ),
    (
        weight(storage("Bool")),
        "a storage must be a numeric type of torch, got 'torch.BoolStorage'",
    ),
    (weight(("storage",)), NO_STORAGE + "a tuple of 1 values"),
    (weight(PersistentId(7)), NO_STORAGE + "a PersistentId"),
    (weight(storage("Char")), "a quantized tensor must be of qint8 or quint8, got torch.int8"),
    (plain(storage(), (6,)), "a tensor of torch.qint8 must have a quantizer, got none"),
    (
        plain(storage("Char"), (6,), (1,), 0, {"neg": True}),
        "a tensor must have 6 arguments and no metadata, got 7 arguments",
    ),
    (call(REBUILD, storage()), "a quantized tensor must have 7 arguments, got 1"),
    (
        Node(Global(REBUILD), [storage()]),
        "a tensor must have a tuple of arguments, got a list of 1 values",
    ),
    (call(PARAMETER, call(PARAMETER)), f"expected a tensor, got an object of {PARAMETER}"),
    (weight(quantizer=PER_TENSOR[:2]), NO_QUANTIZER + "a tuple of 2 values"),
    (
        weight(quantizer=(Global("torch.per_channel_affine_float_qparams"), 0.5, 3)),
        NO_QUANTIZER + "a tuple of 3 values",
    ),
    (weight(quantizer=(PER_TENSOR[0], float("inf"), 3)), BAD_SCALE),
    (weight(quantizer=(PER_TENSOR[0], 0.0, 3)), BAD_SCALE),
    (weight(quantizer=per_channel(NAN)), BAD_SCALE),
    (weight(quantizer=(PER_TENSOR[0], 0.5, 128)), BAD_ZERO_POINT + "(128, 128)"),
    (
        weight(quantizer=(PER_TENSOR[0], 0.5, 2**70)),
        BAD_ZERO_POINT + "(an integer of 71 bits, an integer of 71 bits)",
    ),
    (weight(quantizer=per_channel(zero_points=FAR)), BAD_ZERO_POINT + "(0, 128)"),
    (weight(quantizer=per_channel(axis=4)), "axis must be in [0, 3], got 4"),
    (weight(quantizer=per_channel(axis=-1)), "axis must be in [0, 3], got -1"),
    (weight(quantizer=per_channel(axis=1)), BAD_SCALES.replace("2", "3", 1) + "torch.float64"),
    (
        weight(quantizer=per_channel(plain(storage("Double", "scales", 2), (2,), (0,)))),
        BAD_SCALES + "torch.float64",
    ),
    (weight(quantizer=per_channel(ZERO_POINTS)), BAD_SCALES + "torch.int64"),
    (
        weight(quantizer=per_channel(zero_points=SCALES)),
        "zero_points must be 2 contiguous values of torch.int64, got shape (2) of torch.float64",
    ),
    (weight(quantizer=per_channel([0.5, 0.5])), "scales must be a plain tensor, got (0.5, 0.5)"),
    (
        weight(quantizer=per_channel(zero_points=weight())),
        f"zero_points must be a plain tensor, got an object of {REBUILD}",
    ),
    (Global("torch.float32"), "expected a tensor, got the name torch.float32"),
]


@pytest.mark.parametrize(("tensor", "text"), UNSOUND_TENSORS)
def test_unsound_tensor_is_refused(tmp_path: Path, tensor: object, text: str) -> None:
    write_archive(tmp_path / "f.pt", {"p": packed(state(tensor))})
    assert refusal(tmp_path / "f.pt") == f"'p': {text}"


NO_TUPLE = "state must be a tuple with values, got "
NO_VERSION = 'state must start with a tensor (version 1), "2" or 3, got '


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ((), NO_TUPLE + "()"),
        ([3], NO_TUPLE + "(3)"),
        (None, NO_TUPLE + "None"),
        ((4,), NO_VERSION + "4"),
        ((3.0,), NO_VERSION + "3.0"),
        ((True,), NO_VERSION + "True"),
        (("3",), NO_VERSION + "'3'"),
        (("2" * 100,), NO_VERSION + repr("2" * 60 + "...")),
        ((3, nest(8)), "state must nest at most 8 lists, got more"),
    ],
)
def test_unsound_state_is_refused(tmp_path: Path, value: object, text: str) -> None:
    write_archive(tmp_path / "f.pt", {"p": packed(value)})
    assert refusal(tmp_path / "f.pt") == f"'p': {text}"


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
    ],
    ids=["deep key", "far memo", "shared lists", "cycle"],
)
def test_pickle_that_would_exhaust_the_process_is_looked_through(
    tmp_path: Path, body: bytes
) -> None:
    write_archive(tmp_path / "f.pt", None, **{"data.pkl": b"\x80\x02" + body})
    assert read_states(tmp_path / "f.pt") == []


def test_state_of_shared_lists_is_not_expanded(tmp_path: Path) -> None:
    lists = b"]q\x00" + (b"0](" + b"h\x00" * 100 + b"eq\x00") * 6  # 100**6 elements, one by one
    data = b"\x80\x02ctorch\nScriptObject\n)\x81(K\x03" + lists + b"t" + assemble(CLASS_NAME)
    write_archive(tmp_path / "f.pt", None, **{"data.pkl": data + b"\x86b."})
    assert len(read_states(tmp_path / "f.pt")) == 1


def test_size_of_a_pickle_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_archive(tmp_path / "f.pt", [0] * 100)
    monkeypatch.setattr(_unpickler, "MAX_OPCODES", 100)
    assert refusal(tmp_path / "f.pt") == "pickle must have at most 100 opcodes, got more"
    monkeypatch.setattr(_archive, "MAX_PICKLE_BYTES", 100)
    text = r"member 'data.pkl' must have at most 100 bytes, got 206"
    assert refusal(tmp_path / "f.pt") == text


NO_ZIP = (
    "expected a zip archive, as torch.save and torch.jit.save write it since PyTorch 1.6, "
    "got a file without a readable zip directory ("
)
SCATTERED = (
    "archive must have its members in the file, one after the other, "
    "got some beyond its {size} bytes or overlapping"
)
COMPRESSED = " must be stored uncompressed, got it compressed"


@pytest.mark.parametrize(
    ("member", "fields", "text"),
    [
        ("data.pkl", {"method": 8}, "member 'data.pkl'" + COMPRESSED),
        ("data/0", {"method": 8}, "'p': member 'data/0'" + COMPRESSED),
        ("data/0", {"flags": 1}, "'p': member 'data/0' must be plain, got it encrypted"),
        ("data/0", {"crc": 7}, "'p': member 'data/0' must match its checksum, got altered bytes"),
        ("data/0", {"offset": 1}, "'p': member 'data/0' must start with a zip header, got none"),
        (
            "data/0",
            {"size": 5, "crc": 0},
            "'p': storage 'data/0' must have 6 elements of torch.qint8, got 5 bytes",
        ),
        ("data/0", {"size": 2**31}, SCATTERED),
        ("data/0", {"offset": 2**31}, SCATTERED),
        ("data/0", {"size": 1000, "offset": 0}, SCATTERED),
    ],
)
def test_unsound_zip_record_is_refused(
    tmp_path: Path, member: str, fields: dict[str, int], text: str
) -> None:
    write_archive(tmp_path / "f.pt", {"p": packed(state(weight()))})
    edit_directory(tmp_path / "f.pt", member, **fields)
    size = (tmp_path / "f.pt").stat().st_size
    assert refusal(tmp_path / "f.pt") == text.format(size=size)


def test_member_cut_by_the_end_of_the_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "f.pt"
    config = plain(storage("Short", "config", 11), (11,))
    write_archive(path, packed(("2", [config, weight()], [None])))
    data = path.read_bytes()
    offset = data.index(b"archive/data/config") - 30
    size = len(data) - offset
    edit_directory(path, "data/config", size=size)
    behind_header = size - 30 - len("archive/data/config")
    assert refusal(path) == f"member 'data/config' must have {size} bytes, got {behind_header}"


def test_file_that_is_no_pytorch_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "f.pt"
    torch.save({"p": 1}, path, _use_new_zipfile_serialization=False)
    assert refusal(path) == NO_ZIP + "File is not a zip file)"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.pkl", b"N.")
    assert refusal(path) == "archive must have a member data.pkl in its top folder, got none"
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("data.pkl", b"N.")
    assert refusal(path) == "archive must have each member once, got a name twice"


def test_unknown_byte_order_is_refused(tmp_path: Path) -> None:
    write_archive(tmp_path / "f.pt", None, byteorder=b"middle")
    assert refusal(tmp_path / "f.pt") == "byteorder must be little or big, got 'middle'"


def test_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_states(tmp_path / "f.pt")


def damage(data: bytes, rng: random.Random) -> bytes:
    """Change one byte, and cut off the end now and then."""
    damaged = bytearray(data)
    damaged[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(damaged[: rng.choice([None, None, rng.randrange(len(data))])])


def outcome(path: Path) -> str:
    try:
        return f"{len(read_states(path))} states"
    except ValueError as error:
        return str(error)


OWN_FILES = [f for f in legacy_files("raw", "obj", "freeze") if DATA in f.path.parents]


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
