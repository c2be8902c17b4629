"""Zip archives that are damaged, or no archives of PyTorch's, are refused."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from composed_archives import (
    edit_directory,
    packed,
    plain,
    refusal,
    state,
    storage,
    weight,
    write_archive,
)

from torch_qconv_prepack.checkpoint import read_states

NEITHER = (
    "expected a file of torch.save or torch.jit.save, which is a zip archive or, before "
    "PyTorch 1.6, begins with a pickle, got neither ("
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
            "'p': storage 'data/0' must have 6 elements of torch.int8, got 5 bytes",
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
    path.write_bytes(b"")
    assert refusal(path) == NEITHER + "File is not a zip file)"
    path.write_bytes(b"PK\x03\x04 no more than the beginning of a zip archive")
    assert refusal(path) == NEITHER + "File is not a zip file)"
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
