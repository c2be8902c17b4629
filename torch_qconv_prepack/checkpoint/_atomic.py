"""Files that are there whole or not at all, whatever interrupts their writing."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

_SUFFIX = ".partial"
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EACCES}


@contextlib.contextmanager
def atomic_file(path: Path, overwrite: bool) -> Iterator[BinaryIO]:
    """Open a temporary file beside `path`, which takes its place when the block ends well.

    Its content is on the disk before its name is. A process that dies leaves a file
    `.NAME.*.partial`, which the next one that writes `path` removes; one that is still being
    written is locked, and left alone.

    Raises:
        FileExistsError: there is something at `path`, unless `overwrite`; also where it came there
            while the block ran.
    """
    remove_abandoned(path)
    temporary, file = _create(path)
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            # While the file is locked, so that nobody takes it for abandoned.
            _publish(temporary, path, overwrite)
        _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _publish(temporary: Path, path: Path, overwrite: bool) -> None:
    if not overwrite:
        try:
            os.link(temporary, path)  # fails where there is something, unlike a rename
            return
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    os.replace(temporary, path)


def _create(path: Path) -> tuple[Path, BinaryIO]:
    """Create a temporary file beside `path`, and lock it."""
    while True:
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}{_SUFFIX}")
        file = open(temporary, "xb")  # noqa: SIM115 - the caller closes it
        # In between, another process may have found it without a lock, and removed it.
        if _lock(file) and temporary.exists():
            return temporary, file
        file.close()


def remove_abandoned(path: Path) -> None:
    """Remove what processes that died have left beside `path`."""
    names: list[str] = []
    if fcntl is not None:
        with contextlib.suppress(OSError):  # no such folder: for whoever creates the file to tell
            names = os.listdir(path.parent)
    for name in names:
        if name.startswith(f".{path.name}.") and name.endswith(_SUFFIX):
            temporary = path.with_name(name)
            with contextlib.suppress(OSError), open(temporary, "r+b") as file:
                if _lock(file):
                    temporary.unlink(missing_ok=True)


def _lock(file: BinaryIO) -> bool:
    """Lock a file until it is closed; False where somebody else has."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def _sync_folder(folder: Path) -> None:
    """Write a folder's entries to the disk, where the system can do that."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
