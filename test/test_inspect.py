"""`inspect` tells what is inside of files, as a table and as JSON with the documented keys."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from composed_archives import write_archive
from legacy import DATA
from test_checkpoint_records import MEMBERS, STATE_DICT, module
from torch import nn

from torch_qconv_prepack import __main__ as command_line
from torch_qconv_prepack.checkpoint import ConvInfo, FileInfo, inspect, migrate, read

DOCS = Path(__file__).parents[1] / "docs" / "checkpoints.md"
OLD = DATA / "torch-1.3.1/conv2d.B.chn.b.wzp.fbgemm.mod.pt"


def output(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = command_line.main(["inspect", *map(str, arguments)])
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def test_info_says_what_a_file_of_pytorch_1_3_holds() -> None:
    info = inspect(OLD)
    assert (info.path, info.container, info.bytes) == (str(OLD), "zip", OLD.stat().st_size)
    (conv,) = info.convolutions
    (record,) = read(OLD)
    packed = record.pack()
    assert conv == ConvInfo(
        name="",
        kind="conv2d",
        format="module",
        class_name="torch.nn.quantized.modules.conv.Conv2d",
        in_channels=4,
        out_channels=8,
        weight_shape=(8, 2, 3, 2),
        kernel_size=(3, 2),
        stride=(2, 2),
        padding=(2, 2),
        dilation=(2, 2),
        output_padding=(0, 0),
        groups=2,
        padding_mode="zeros",
        weight_scheme="per_channel",
        weight_zero_points=(-3, 3),
        bias=True,
        output_scale=0.75,
        output_zero_point=104,
        weight_bytes=96,
        packed_bytes=packed.nbytes(),
        engine=packed.engine(),
        problem=None,
    )


def test_containers_are_told_apart(tmp_path: Path) -> None:
    stream = DATA / "torch-1.3.1/conv2d.B.chn.nb.fbgemm.sd.pth"
    migrate(OLD, tmp_path / "new.safetensors")
    migrate(OLD, tmp_path / "new.pth")
    containers = [
        (inspect(path).container, inspect(path).convolutions[0].format)
        for path in (OLD, stream, tmp_path / "new.safetensors", tmp_path / "new.pth")
    ]
    assert containers == [
        ("zip", "module"),
        ("stream", "state_dict"),
        ("safetensors", "migrated.1"),
        ("zip", "migrated.1"),
    ]


def test_json_has_the_documented_keys(capsys: pytest.CaptureFixture[str]) -> None:
    status, text, errors = output(capsys, "--json", OLD, OLD.parent / "none.pt")
    assert (status, errors) == (1, "")
    printed = json.loads(text)
    assert set(printed) == {"files"}
    sound, missing = printed["files"]
    assert set(sound) == {field.name for field in dataclasses.fields(FileInfo)}
    assert sound == json.loads(json.dumps(dataclasses.asdict(inspect(OLD))))
    assert set(missing) == {"path", "error"}
    assert "No such file" in missing["error"]
    documented = DOCS.read_text()
    for key in [*sound, *missing, *sound["convolutions"][0]]:
        assert f"`{key}`" in documented


def test_table_has_a_row_for_each_convolution(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    nnq = torch.ao.nn.quantized
    model = nn.ModuleDict(
        {"stem": nnq.Conv2d(3, 8, 3, stride=2), "up": nnq.ConvTranspose1d(4, 2, 2)}
    )
    torch.save(model, tmp_path / "f.pt")
    status, text, errors = output(capsys, tmp_path / "f.pt")
    assert (status, errors) == (0, "")
    title, *lines = (line.rstrip() for line in text.splitlines() if line.strip())
    size = (tmp_path / "f.pt").stat().st_size
    assert title == f"{tmp_path}/f.pt (zip, {size:,} bytes): 2 convolutions"
    head = "name kind weight stride padding dilation groups scheme zero points bias format packed"
    assert lines[0].split() == head.split()
    packed = [f"{conv.packed_bytes:,}" for conv in inspect(tmp_path / "f.pt").convolutions]
    row = "stem conv2d 8x3x3x3 2x2 0x0 1x1 1 per_tensor 0 yes module"
    last = "up conv_transpose1d 4x2x2 1 0 1 1 per_tensor 0 yes module"
    assert lines[2].split() == [*row.split(), packed[0]]
    assert lines[3].split() == [*last.split(), packed[1]]
    assert lines[4] == "packed: bytes in memory, with the default engine"


def test_state_dict_has_no_geometry_to_tell(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    write_archive(tmp_path / "f.pt", STATE_DICT, **MEMBERS)
    (conv,) = inspect(tmp_path / "f.pt").convolutions
    assert (conv.stride, conv.groups, conv.in_channels) == (None, None, None)
    assert (conv.packed_bytes, conv.engine, conv.problem) == (None, None, None)
    status, text, _ = output(capsys, tmp_path / "f.pt")
    assert status == 0
    assert "- conv2d or conv_transpose2d 2x3x1x1 ? ? ? ? per_tensor 3 to 3" in " ".join(
        text.split()
    )
    assert "?: a state_dict doesn't hold it" in text


def test_convolution_that_no_engine_takes_is_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    write_archive(tmp_path / "f.pt", {"m": module(padding=(0, 2**30))}, **MEMBERS)
    (conv,) = inspect(tmp_path / "f.pt").convolutions
    assert conv.packed_bytes is None
    assert conv.problem
    status, text, _ = output(capsys, tmp_path / "f.pt")
    assert status == 0
    assert f"m: {conv.problem[:40]}" in text


def test_names_from_a_file_cannot_steer_the_terminal(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    name = "a\x1b[31m\x1b]0;title\x07[bold]b[/bold]\r\n\u202ec"
    write_archive(tmp_path / "f.pt", {name: module(padding=(0, 2**30))}, **MEMBERS)
    (conv,) = inspect(tmp_path / "f.pt").convolutions
    assert conv.name == name
    _, text, _ = output(capsys, tmp_path / "f.pt")
    assert all(c.isprintable() or c == "\n" for c in text)
    assert "[bold]b[/bold]" in text.replace("\n", "")
    _, text, _ = output(capsys, "--json", tmp_path / "f.pt")
    assert json.loads(text)["files"][0]["convolutions"][0]["name"] == name


def test_unreadable_files_are_told_and_the_others_printed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "bad\x1b.pt").write_bytes(b"PK\x03\x04")
    status, text, errors = output(capsys, tmp_path / "bad\x1b.pt", OLD)
    assert status == 1
    assert errors.startswith(
        f"inspect: read: {tmp_path}/bad\\x1b.pt: expected a file of torch.save"
    )
    assert len(errors.splitlines()) == 1
    assert "1 convolutions" in text


def run_without(*modules: str, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    program = f"""
import sys
for module in {modules!r}:
    sys.modules[module] = None  # an import of it fails
from torch_qconv_prepack.__main__ import main
sys.exit(main({arguments!r}))
"""
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )


def test_json_needs_no_other_package() -> None:
    result = run_without(
        "rich", "safetensors", "sklearn", arguments=["inspect", "--json", str(OLD)]
    )
    assert (result.returncode, result.stderr) == (0, "")
    files: list[dict[str, Any]] = json.loads(result.stdout)["files"]
    assert len(files[0]["convolutions"]) == 1


@pytest.mark.parametrize(
    ("missing", "arguments", "user"),
    [
        ("rich", ["inspect", str(OLD)], "inspect"),
        ("rich", ["migrate", str(OLD), "new.pth"], "migrate"),
        ("safetensors", ["migrate", str(OLD), "new.safetensors"], "migrate"),
    ],
)
def test_missing_package_names_the_command_that_installs_it(
    missing: str, arguments: list[str], user: str
) -> None:
    result = run_without(missing, arguments=arguments)
    assert result.returncode == 2
    last = result.stderr.splitlines()[-1]
    assert last.startswith(f"{user}: needs {missing}, which could not be imported (")
    assert last.endswith('install it with: pip install "torch_qconv_prepack[files]"')
    assert not Path("new.safetensors").exists()


def test_reading_safetensors_without_that_package_says_so(tmp_path: Path) -> None:
    migrate(OLD, tmp_path / "new.safetensors")
    result = run_without(
        "safetensors", arguments=["inspect", "--json", f"{tmp_path}/new.safetensors"]
    )
    assert result.returncode == 2
    assert result.stderr.startswith("read: needs safetensors, which could not be imported")
