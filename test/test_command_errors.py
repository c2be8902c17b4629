"""`inspect` and `migrate` say what is wrong on one line, with an exit status and no traceback."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from legacy import DATA, legacy_files

from torch_qconv_prepack import __main__ as command_line
from torch_qconv_prepack.checkpoint import inspect_command, migrate_command, read

OLD = DATA / "torch-1.3.1/conv2d.B.chn.b.wzp.fbgemm.mod.pt"
MUTATIONS = 300


def complaint(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line that a command writes when it fails."""
    assert command_line.main([str(argument) for argument in arguments]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    return line


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    data = OLD.read_bytes()
    flipped = bytearray(data)
    flipped[flipped.index(b"\x80\2") + 2] ^= 1  # the first opcode of a pickle
    for name, content in {
        "empty": b"", "text": b"hello\n", "cut": data[:500], "flipped": bytes(flipped),
        "old": data, "there.pth": b"something else",
    }.items():  # fmt: skip
        (tmp_path / name).write_bytes(content)
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "readme.txt").write_text("hello")
    return tmp_path


BAD_FILES = {
    "missing": "No such file or directory",
    "empty": "expected a file of torch.save or torch.jit.save",
    "text": "expected a file of torch.save or torch.jit.save",
    "cut": "expected a file of torch.save or torch.jit.save",
    "flipped": "read: ",
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files(capsys: pytest.CaptureFixture[str], folder: Path, name: str) -> None:
    assert BAD_FILES[name] in complaint(capsys, "inspect", folder / name)
    assert BAD_FILES[name] in complaint(capsys, "migrate", folder / name, folder / "new.pth")
    assert not (folder / "new.pth").exists()


def test_folders(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    none = folder / "none"
    assert "Is a directory" in complaint(capsys, "inspect", none)
    assert complaint(capsys, "migrate", none, folder / "new") == (
        f"migrate: source must hold files that begin as PyTorch's do, got none in the folder {none}"
    )
    assert not (folder / "new").exists()


BAD_TARGETS = {
    "there.pth": "target must not exist unless overwrite is given",
    "old": "target must be another file than the source",
    "new.bin": "target must end in .safetensors, .pth, .pt, or kind be given",
    "nowhere/new.pth": "No such file or directory",
    "text/new.pth": "Not a directory",
    "/proc/new.pth": "No such file or directory",
}


@pytest.mark.parametrize("name", BAD_TARGETS)
def test_bad_targets(capsys: pytest.CaptureFixture[str], folder: Path, name: str) -> None:
    kind = ["--to", "state_dict"] if name == "old" else []
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    line = complaint(capsys, "migrate", folder / "old", folder / name, *kind)
    assert BAD_TARGETS[name] in line
    assert {path: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


@pytest.mark.parametrize("error", [TypeError("a\nb"), MemoryError(), NotImplementedError("c")])
def test_any_error_that_a_file_can_cause_is_told(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    error: Exception,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(inspect_command, "inspect", fail)
    monkeypatch.setattr(migrate_command, "migrate", fail)
    text = str(error).replace("\n", "\\n") or "MemoryError"
    assert complaint(capsys, "inspect", OLD) == f"inspect: {text}"
    assert complaint(capsys, "migrate", OLD, folder / "new.pth") == text


def cut(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data)) :]


def flip(data: bytearray, rng: random.Random) -> None:
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def spoil(data: bytearray, rng: random.Random) -> None:
    for _ in range(8):
        data[rng.randrange(len(data))] = rng.randrange(256)


CHANGES: tuple[Callable[[bytearray, random.Random], None], ...] = (cut, flip, spoil)


def test_files_changed_at_random_are_read_or_refused(tmp_path: Path) -> None:
    rng = random.Random(0)
    files = rng.sample(legacy_files(), 20)
    path, refused = tmp_path / "changed.pt", 0
    for index in range(MUTATIONS):
        data = bytearray(files[index % len(files)].path.read_bytes())
        CHANGES[index % len(CHANGES)](data, rng)
        path.write_bytes(data)
        for function in (read, inspect_command.inspect):
            try:
                function(path)
            except ValueError as error:  # any other fails the test
                text = str(error)
            else:
                continue
            refused += 1
            assert text.startswith(f"read: {path}: ")
    assert refused > MUTATIONS
