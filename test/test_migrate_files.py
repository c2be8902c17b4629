"""Migrated files are whole or not there, are never overwritten unasked, and folders go on."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from legacy import DATA

import torch_qconv_prepack as qconv
from torch_qconv_prepack.checkpoint import _atomic, _migrate, migrate, read_migrated

OLD = DATA / "torch-1.3.1/conv2d.B.chn.b.wzp.fbgemm.mod.pt"
OTHER = DATA / "torch-1.4.0/conv3d.B.chn.b.wzp.fbgemm.mod.pt"
SUFFIXES = (".safetensors", ".pth")


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_there_is_never_replaced_unasked(tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"new{suffix}"
    migrate(OLD, target)
    whole = target.read_bytes()
    (migration,) = migrate(OLD, target)
    assert (migration.status, migration.convolutions) == ("already done", 1)
    assert target.read_bytes() == whole

    with pytest.raises(FileExistsError, match=r"migrated from another file, 'conv2d\.B\.chn"):
        migrate(OTHER, target)
    assert target.read_bytes() == whole
    for unfinished in (b"", b"text", whole[:-1], whole[: len(whole) // 2], OLD.read_bytes()):
        target.write_bytes(unfinished)
        with pytest.raises(FileExistsError, match="is no whole migrated file"):
            migrate(OLD, target)
        assert target.read_bytes() == unfinished
    assert os.listdir(tmp_path) == [target.name]

    (migration,) = migrate(OLD, target, overwrite=True)
    assert migration.status == "migrated"
    assert read_migrated(target).source["name"] == OLD.name


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_changed_byte_of_a_tensor_is_noticed(tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"new{suffix}"
    migrate(OLD, target)
    weight = read_migrated(target).tensors["weight"].flatten()[:16]
    data = bytearray(target.read_bytes())
    data[data.index(bytes(weight.view(torch.uint8).tolist()))] ^= 1
    target.write_bytes(data)
    with pytest.raises(ValueError, match=r"^read_migrated: .* must match "):
        read_migrated(target)


def test_broken_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "new.pth").symlink_to(tmp_path / "elsewhere.pth")
    with pytest.raises(OSError, match=r"new\.pth"):
        migrate(OLD, tmp_path / "new.pth")
    assert os.listdir(tmp_path) == ["new.pth"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_error_while_writing_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    def half(file: Any, tensors: Any, kind: str) -> None:
        file.write(b"half a file")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_migrate, "write_tensors", half)
    with pytest.raises(OSError, match="No space left"):
        migrate(OLD, tmp_path / f"new{suffix}")
    assert os.listdir(tmp_path) == []


KILL = """
import os, signal, sys
from torch_qconv_prepack.checkpoint import _migrate, migrate

write = _migrate.write_tensors


class Dying:
    def __init__(self, file, limit):
        self.file, self.limit = file, limit

    def write(self, data):
        self.limit -= len(data)
        self.file.write(data[:max(self.limit + len(data), 0)])
        if self.limit < 0:
            self.file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        return len(data)

    def __getattr__(self, name):
        return getattr(self.file, name)


def write_half(file, tensors, kind):
    write(Dying(file, int(sys.argv[3])), tensors, kind)


_migrate.write_tensors = write_half
migrate(sys.argv[1], sys.argv[2])
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("limit", [0, 500])
def test_process_that_is_killed_leaves_no_half_file(
    tmp_path: Path, suffix: str, limit: int
) -> None:
    target = tmp_path / f"new{suffix}"
    child = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", KILL, str(OLD), str(target), str(limit)],
        check=False,
    )
    assert child.returncode == -signal.SIGKILL
    assert not target.exists()
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(f".{target.name}.")
    assert left.stat().st_size == limit

    (migration,) = migrate(OLD, target)
    assert migration.status == "migrated"
    assert os.listdir(tmp_path) == [target.name]
    assert len(read_migrated(target).records) == 1


def test_name_that_a_killed_process_had_no_time_to_take_back_is_removed(tmp_path: Path) -> None:
    target, left = tmp_path / "new.pth", tmp_path / ".new.pth.0123456789abcdef.partial"
    migrate(OLD, target)
    whole = target.read_bytes()
    os.link(target, left)
    (migration,) = migrate(OLD, target)
    assert migration.status == "already done"
    assert content(tmp_path) == {"new.pth": whole}


def test_the_second_of_two_writers_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "new.pth"

    def slow() -> None:
        with _atomic.atomic_file(target, overwrite=False) as file:
            file.write(b"slow")
            with _atomic.atomic_file(target, overwrite=False) as other:
                other.write(b"fast")
            assert target.read_bytes() == b"fast"
            # The fast one took no file that is still being written for abandoned.
            assert Path(file.name).exists()

    with pytest.raises(FileExistsError):
        slow()
    assert content(tmp_path) == {"new.pth": b"fast"}


@pytest.mark.parametrize("number", [1, 95])  # EPERM, EOPNOTSUPP
def test_file_system_without_links_is_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def no_links(*arguments: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", no_links)
    migrate(OLD, tmp_path / "new.pth")
    assert os.listdir(tmp_path) == ["new.pth"]
    with pytest.raises(FileExistsError), _atomic.atomic_file(tmp_path / "new.pth", False):
        pass


def test_content_is_on_the_disk_before_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    for name in ("fsync", "link"):
        function = getattr(os, name)

        def noted(*arguments: Any, name: str = name, function: Any = function) -> Any:
            events.append(name)
            return function(*arguments)

        monkeypatch.setattr(os, name, noted)
    migrate(OLD, tmp_path / "new.pth")
    assert events == ["fsync", "link", "fsync"]  # the file, its name, the folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of old files, one of them damaged, and of others."""
    old = tmp_path / "old"
    (old / "deep" / "er").mkdir(parents=True)
    shutil.copyfile(OLD, old / "a.pt")
    shutil.copyfile(OTHER, old / "deep" / "b.pt")
    (old / "deep" / "er" / "b.pt").symlink_to(OTHER)
    (old / "deep" / "cut.pt").write_bytes(OLD.read_bytes()[:-9])
    torch.save({"nothing": 1}, old / "nothing.pt")
    (old / "notes.txt").write_text("no archive")
    shutil.copyfile(DATA / "expected/conv2d.B.chn.b.wzp.fbgemm.npz", old / "arrays.npz")
    return old


STATUSES = {
    "a.pt": "migrated",
    "arrays.npz": "not read",
    "deep/b.pt": "migrated",
    "deep/cut.pt": "failed",
    "deep/er/b.pt": "migrated",
    "nothing.pt": "no convolutions",
}


@pytest.mark.parametrize(
    ("kind", "suffix"), [("safetensors", ".safetensors"), ("state_dict", ".pth")]
)
@pytest.mark.parametrize("jobs", [1, 4])
def test_folder_is_migrated(folder: Path, kind: Any, suffix: str, jobs: int) -> None:
    new = folder.with_name("new")
    seen: list[tuple[str, int]] = []
    migrations = migrate(
        folder,
        new,
        kind=kind,
        jobs=jobs,
        progress=lambda migration, total: seen.append((migration.source.name, total)),
    )
    names = [str(migration.source.relative_to(folder)) for migration in migrations]
    assert dict(zip(names, (m.status for m in migrations), strict=True)) == STATUSES
    assert names == sorted(names)
    assert sorted(seen) == sorted((Path(name).name, len(STATUSES)) for name in names)
    (failed,) = (migration for migration in migrations if migration.error)
    assert failed.error is not None
    assert failed.error.startswith(f"read: {failed.source}: expected a file of torch.save")
    expected = {f"{name}{suffix}" for name, status in STATUSES.items() if status == "migrated"}
    assert set(content(new)) == expected
    for name in expected:
        assert len(read_migrated(new / name).records) == 1


def test_folder_goes_on_where_it_stopped(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new = folder.with_name("new")

    def stop(migration: Any, total: int) -> None:
        if migration.status == "migrated":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        migrate(folder, new, jobs=1, progress=stop)
    before = content(new)
    assert 1 <= len(before) < 3
    assert not any("partial" in name for name in before)

    wrote: list[str] = []
    write = _migrate.write_tensors

    def noted(file: Any, tensors: Any, kind: Any) -> None:
        wrote.append(file.name)
        write(file, tensors, kind)

    monkeypatch.setattr(_migrate, "write_tensors", noted)
    statuses = Counter(migration.status for migration in migrate(folder, new))
    assert statuses["already done"] == len(before)
    assert statuses["migrated"] == len(wrote) == 3 - len(before)
    assert content(new).items() >= before.items()
    assert len(content(new)) == 3

    # A source that has changed, and a target that is damaged, are told; the rest is done.
    shutil.copyfile(OTHER, folder / "a.pt")
    (new / "deep" / "b.pt.safetensors").write_bytes(b"half")
    errors = {m.source.name: m.error for m in migrate(folder, new) if m.status == "failed"}
    assert set(errors) == {"a.pt", "b.pt", "cut.pt"}
    assert "migrated from another file" in str(errors["a.pt"])
    assert "no whole migrated file" in str(errors["b.pt"])
    statuses = Counter(migration.status for migration in migrate(folder, new, overwrite=True))
    assert (statuses["migrated"], statuses["failed"]) == (3, 1)


def test_target_inside_of_the_source_is_not_migrated_again(folder: Path) -> None:
    new = folder / "new"
    first = migrate(folder, new, kind="state_dict")
    second = migrate(folder, new, kind="state_dict")
    assert [m.source for m in first] == [m.source for m in second]
    assert {m.status for m in second} == {
        "already done", "failed", "no convolutions", "not read",
    }  # fmt: skip


def test_files_of_a_folder_are_migrated_at_the_same_time(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Every write waits for the two others: one after the other, they would wait forever.
    barrier = threading.Barrier(3)
    write = _migrate.write_tensors

    def together(file: Any, tensors: Any, kind: Any) -> None:
        barrier.wait(timeout=60)
        write(file, tensors, kind)

    monkeypatch.setattr(_migrate, "write_tensors", together)
    statuses = Counter(m.status for m in migrate(folder, folder.with_name("new"), jobs=3))
    assert statuses["migrated"] == 3


def test_threads_pack_with_the_engine_of_the_caller(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    check = _migrate.verify

    def noted(old: Any, new: Any) -> None:
        seen.append((qconv.default_engine(), threading.current_thread() is threading.main_thread()))
        check(old, new)

    monkeypatch.setattr(_migrate, "verify", noted)
    with qconv.engine("fbgemm"):
        migrate(folder, folder.with_name("new"), jobs=2)
    assert seen == [("fbgemm", False)] * 3
