"""`python -m torch_qconv_prepack migrate` says what became of the files, and by its exit status."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from legacy import DATA
from test_migrate_files import OLD, content, folder

from torch_qconv_prepack import __main__ as command_line
from torch_qconv_prepack.checkpoint import read_migrated

__all__ = ["folder"]  # the fixture


def migrate(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = command_line.main(["migrate", *map(str, arguments)])
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def test_file_is_migrated_once(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    target = tmp_path / "new.safetensors"
    assert migrate(capsys, OLD, target) == (0, "migrate: 1 migrated; 1 convolutions\n", "")
    assert migrate(capsys, OLD, target) == (0, "migrate: 1 already done; 1 convolutions\n", "")
    assert migrate(capsys, OLD, target, "--overwrite")[1] == "migrate: 1 migrated; 1 convolutions\n"
    status, text, errors = migrate(
        capsys, DATA / "torch-1.4.0/conv3d.B.chn.b.wzp.fbgemm.mod.pt", target
    )
    assert (status, text) == (1, "")
    assert "migrate: target must not exist unless overwrite is given" in errors
    assert len(errors.splitlines()) == 1


@pytest.mark.parametrize("kind", ["safetensors", "state_dict"])
def test_option_to_wins_over_the_suffix(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, kind: str
) -> None:
    target = tmp_path / "new.pt"
    assert migrate(capsys, OLD, target, "--to", kind)[0] == 0
    assert target.read_bytes().startswith(b"PK") == (kind == "state_dict")
    assert len(read_migrated(target).records) == 1


def test_folder_with_a_damaged_file(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    new = folder.with_name("new")
    status, text, errors = migrate(capsys, folder, new, "--jobs", 2)
    assert status == 1
    assert text == (
        "migrate: 1 failed, 3 migrated, 1 no convolutions, 1 not read; 3 convolutions\n"
    )
    (line,) = errors.splitlines()
    assert line.startswith(f"{folder}/deep/cut.pt: read: {folder}/deep/cut.pt: expected a file ")
    assert len(content(new)) == 3
    (folder / "deep" / "cut.pt").unlink()
    status, text, errors = migrate(capsys, folder, new)
    assert (status, errors) == (0, "")
    assert text.startswith("migrate: 3 already done, ")


def test_geometry_comes_from_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    old = DATA / "torch-1.3.1/conv2d.B.chn.nb.fbgemm.sd.pth"
    new = tmp_path / "new.pth"
    status, _, errors = migrate(capsys, old, new)
    assert status == 1
    assert errors.startswith("migrate: '' must have a geometry, which a state_dict doesn't hold")
    (tmp_path / "geometry.json").write_text(
        json.dumps({"": {"stride": [2, 2], "padding": 2, "dilation": 2, "groups": 2}})
    )
    assert migrate(capsys, old, new, "--geometry", tmp_path / "geometry.json")[0] == 0
    (record,) = read_migrated(new).records
    assert (record.stride, record.padding, record.groups) == ((2, 2), (2, 2), 2)
    assert set(torch.load(new)) >= {"weight", "geometry"}


@pytest.mark.parametrize(
    ("text", "error"),
    [("[", "must be JSON"), ("[" * 10**5, "must be JSON"), ("[]", "must hold an object")],
    ids=["cut", "deep", "list"],
)
def test_unsound_geometry_file_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str, error: str
) -> None:
    (tmp_path / "g.json").write_text(text)
    status, _, errors = migrate(
        capsys, OLD, tmp_path / "new.pth", "--geometry", tmp_path / "g.json"
    )
    assert status == 1
    assert errors.startswith(f"migrate: --geometry {error}")


def test_progress_is_shown_on_a_terminal(folder: Path) -> None:
    primary, terminal = pty.openpty()
    command = [
        "-W",
        "ignore",
        "-m",
        "torch_qconv_prepack",
        "migrate",
        folder,
        folder.with_name("new"),
    ]
    child = subprocess.Popen(
        [sys.executable, *command],
        stderr=terminal,
        stdout=subprocess.PIPE,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "80"},
        text=True,
    )
    os.close(terminal)
    shown = b""
    while select.select([primary], [], [], 60)[0]:
        try:
            shown += os.read(primary, 4096)
        except OSError:  # the other end is closed
            break
    text, _ = child.communicate(timeout=60)
    os.close(primary)
    assert child.returncode == 1
    assert b"6/6" in shown
    assert "3 migrated" in text
