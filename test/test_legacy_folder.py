"""`inspect` and `migrate` of whole trees of old files: test/data, and QCONV_LEGACY_DIR if set."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from legacy import DATA, ExpectedFile, LegacyFile, legacy_files
from test_inspect import output
from test_migrate_command import migrate
from test_migrate_files import content

from torch_qconv_prepack.checkpoint import read, read_migrated

FILES = legacy_files()
FOLDERS = sorted({file.expected_path.parents[1] for file in FILES})
GEOMETRY = ("stride", "padding", "dilation", "output_padding")

every_folder = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


def files_in(folder: Path) -> list[LegacyFile]:
    return [file for file in FILES if folder in file.path.parents]


@every_folder
def test_inspect_tells_what_each_file_was_made_of(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    files = files_in(folder)
    status, text, errors = output(capsys, "--json", *(file.path for file in files))
    assert (status, errors) == (0, "")
    for file, found in zip(files, json.loads(text)["files"], strict=True):
        expected = ExpectedFile(file)
        (conv,) = found["convolutions"]
        assert found["bytes"] == file.path.stat().st_size
        kind = file.op.replace("_relu", "")
        # State_dicts and packed objects tell less than modules do.
        assert kind in conv["kind"] or kind.replace("1d", "2d") in conv["kind"], file
        assert conv["weight_scheme"] == ("per_channel" if expected.axis >= 0 else "per_tensor")
        assert conv["weight_bytes"] == expected.weight.numel()
        zero_points = expected.zero_points
        assert conv["weight_zero_points"] == [int(zero_points.min()), int(zero_points.max())]
        assert conv["bias"] == (expected.bias is not None)
        assert conv["problem"] is None
        if file.kind == "sd":
            assert conv["stride"] is conv["groups"] is conv["packed_bytes"] is None
            continue
        assert conv["packed_bytes"] > 0
        assert conv["groups"] == expected.config.groups
        for name in GEOMETRY:
            numbers = getattr(expected.config, name)
            assert tuple(conv[name]) == numbers[-len(conv[name]) :], (file, name)


def assert_migrated(folder: Path, new: Path) -> None:
    """What has its geometry is there, nothing else is, and all of it is what the old files hold."""
    targets = {file.path.relative_to(folder).as_posix() + ".safetensors": file
               for file in files_in(folder) if file.kind != "sd"}  # fmt: skip
    assert set(content(new)) == set(targets)
    for name, file in targets.items():
        (old,), migrated = read(file.path), read_migrated(new / name)
        (record,) = migrated.records
        assert migrated.source["name"] == file.path.name
        assert record.weight.equal(old.weight)
        assert (record.stride, record.groups, record.kind) == (old.stride, old.groups, old.kind)


@every_folder
def test_the_tree_is_migrated_in_parallel_and_never_again(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, folder: Path
) -> None:
    files = files_in(folder)
    bare = [file for file in files if file.kind == "sd"]
    whole = len(files) - len(bare)
    status, text, errors = migrate(capsys, folder, tmp_path / "new", "--jobs", 2)
    assert status == bool(bare)
    counts = f"migrate: {f'{len(bare)} failed, ' if bare else ''}{whole} migrated, "
    assert text.startswith(counts), text
    assert text.endswith(f" not read; {whole} convolutions\n")
    lines = errors.splitlines()
    assert len(lines) == len(bare)  # each has its reason
    for line in lines:
        assert "must have a geometry, which a state_dict doesn't hold" in line
    assert_migrated(folder, tmp_path / "new")

    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "new").rglob("*")}
    status, text, errors = migrate(capsys, folder, tmp_path / "new", "--jobs", 3)
    assert f"migrate: {whole} already done, " in text
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "new").rglob("*")} == before

    # With a geometry for the rest, the rest is done.
    (tmp_path / "geometry.json").write_text('{"*": {}}')
    options = ("--jobs", 2, "--geometry", tmp_path / "geometry.json")
    status, text, errors = migrate(capsys, folder, tmp_path / "new", *options)
    assert (status, errors) == (0, "")
    assert f"{whole} already done, " in text
    assert (f"{len(bare)} migrated, " in text) == bool(bare)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_killed_run_is_gone_on_with(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder, new = DATA, tmp_path / "new"
    command = ["-W", "ignore", "-m", "torch_qconv_prepack", "migrate", folder, new, "--jobs", "2"]
    child = subprocess.Popen(
        [sys.executable, *map(str, command)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while child.poll() is None and not any(new.rglob("*.safetensors")):
        assert time.monotonic() < deadline
        time.sleep(0.001)
    child.kill()
    child.wait()
    before = {name: data for name, data in content(new).items() if "partial" not in name}
    assert before
    migrate(capsys, folder, new)
    assert content(new).items() >= before.items()
    assert_migrated(folder, new)
