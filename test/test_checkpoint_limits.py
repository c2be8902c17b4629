"""Files that are cut, that are none of PyTorch's, and that would fill the memory.

Each is refused with a reason by everything that reads files.
"""

from __future__ import annotations

import json
import pickle
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from composed_archives import (
    MAGIC,
    PROTOCOL,
    edit_directory,
    packed,
    pickled,
    state,
    storage,
    weight,
    write_archive,
    write_stream,
)
from legacy import DATA, LegacyFile, legacy_files

from torch_qconv_prepack.checkpoint import inspect, migrate, read, read_migrated, read_states

READERS: dict[str, Callable[[Path], Any]] = {
    "read": read,
    "read_states": read_states,
    "read_migrated": read_migrated,
    "inspect": inspect,
    "migrate": lambda path: migrate(path, path.with_suffix(".safetensors")),
}

every_reader = pytest.mark.parametrize("reader", READERS)

OWN_FILES = [file for file in legacy_files() if DATA in file.path.parents]


@pytest.mark.parametrize("file", OWN_FILES, ids=lambda file: file.name)
def test_a_file_cut_at_every_tenth(tmp_path: Path, file: LegacyFile) -> None:
    content, path = file.path.read_bytes(), tmp_path / "f.pt"
    for tenth in range(10):
        path.write_bytes(content[: len(content) * tenth // 10])
        for name, function in READERS.items():
            with pytest.raises(ValueError, match=rf"^(read|{name}): .*f\.pt: (.* must |expected )"):
                function(path)
    assert [path.name for path in tmp_path.iterdir()] == ["f.pt"]


@every_reader
@pytest.mark.parametrize(
    "content",
    [b"", b"PK", b"\x80", b"{}", b"# A text.\n" * 100, bytes(1000), pickle.dumps({"a": 1})],
    ids=["empty", "two bytes", "one byte", "json", "text", "zeros", "pickle"],
)
def test_another_file(tmp_path: Path, content: bytes, reader: str) -> None:
    (tmp_path / "f.pt").write_bytes(content)
    with pytest.raises(
        ValueError, match=rf"^(read|{reader}): .*f\.pt: (expected a file |pickle must )"
    ):
        READERS[reader](tmp_path / "f.pt")


@pytest.mark.parametrize("reader", [name for name in READERS if name != "migrate"])
def test_a_folder_and_nothing(tmp_path: Path, reader: str) -> None:
    with pytest.raises(IsADirectoryError, match=str(tmp_path)):
        READERS[reader](tmp_path)
    with pytest.raises(FileNotFoundError, match=r"none\.pt"):
        READERS[reader](tmp_path / "none.pt")


def many(opcode: bytes, count: int) -> bytes:
    return b"\x80\x04(" + opcode * count + b"t."


def write_attacks(folder: Path) -> None:
    """Small files that state large sizes, or make much of little."""
    tree = {"p": packed(state(weight()))}
    for name, body in {
        "dicts": many(b"}", 1_100_000),
        "text": b"\x80\x04\x8d" + struct.pack("<Q", 2**40) + b"a.",
        "bytes": b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"a.",
        "integer": b"\x80\x04\x8b" + struct.pack("<i", 2**31 - 1) + b"\x01.",
        "frame": b"\x80\x04\x95" + struct.pack("<Q", 2**50) + b"N.",
    }.items():
        write_archive(folder / f"{name}.pt", None, **{"data.pkl": body})
    write_archive(folder / "storage.pt", {"p": packed(state(weight(storage(count=2**40))))})
    sizes = ((2**20, 2**20, 1, 1), (0, 0, 0, 0))
    write_archive(folder / "tensor.pt", {"p": packed(state(weight(storage(), *sizes)))})
    write_archive(folder / "member.pt", tree)
    edit_directory(folder / "member.pt", "data/0", size=2**32 - 2)
    write_stream(folder / "count.pt", tree, [("0", 2**60, bytes(6))])
    head = b"".join(map(pickled, (MAGIC, PROTOCOL, {})))
    (folder / "stream.pt").write_bytes(head + b"\x80\x04\x8d" + struct.pack("<Q", 2**40) + b"a.")
    (folder / "f.safetensors").write_bytes(struct.pack("<Q", 2**40) + b'{"a":{}}')


# With 600 MB more than what the imports take.
LIMITED = """
import json, resource, sys
from torch_qconv_prepack.checkpoint import read
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + 600 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
outcomes = {}
for path in sys.argv[1:]:
    try:
        outcomes[path] = f"{len(read(path))} records"
    except Exception as error:
        outcomes[path] = f"{type(error).__name__}: {error}"
print(json.dumps(outcomes))
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
def test_no_small_file_fills_the_memory(tmp_path: Path) -> None:
    write_attacks(tmp_path)
    paths = sorted(tmp_path.iterdir())
    assert max(path.stat().st_size for path in paths) < 1_200_000
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LIMITED, *map(str, paths)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    outcomes = {Path(path).stem: text for path, text in json.loads(result.stdout).items()}
    assert outcomes.pop("frame") == "0 records"  # a frame's length is not needed
    assert len(outcomes) == 10
    assert [
        name for name, text in outcomes.items() if not text.startswith("ValueError: read: ")
    ] == []
    assert outcomes["dicts"].endswith("at most 1000000 tuples, lists, dicts and objects, got more")
