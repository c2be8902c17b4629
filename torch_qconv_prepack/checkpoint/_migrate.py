"""`migrate`: old files to plain tensors, one or a folder of them."""

from __future__ import annotations

import contextvars
import errno
import hashlib
import os
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from torch_qconv_prepack._dependencies import MissingDependencyError

from ._atomic import atomic_file, remove_abandoned
from ._decode import checked
from ._migrated import SUFFIXES, Kind, write_tensors
from ._named_tensors import to_tensors
from ._nodes import TOLD_ERRORS, FormatError, OtherFileError, show, told
from ._read import read, read_migrated
from ._record import GEOMETRY, ConvRecord
from ._verify import verify

Status: TypeAlias = Literal["migrated", "already done", "no convolutions", "failed", "not read"]
Geometry: TypeAlias = Mapping[str, Mapping[str, Any]]
_BUFFER_BYTES = 1 << 20
_FIRST_BYTES = (b"PK\x03\x04", b"\x80")  # of a zip archive, of a pickle


@dataclass(frozen=True)
class Migration:
    """What became of one file.

    Attributes:
        source: the old file.
        target: the new one.
        status: `"migrated"`; `"already done"`: the target was there, whole, and of this source;
            `"no convolutions"`: nothing to migrate, and no target; in a folder also `"failed"`, and
            `"not read"` for archives and pickles of other programs.
        convolutions: how many the target holds.
        error: why it failed, else None.
    """

    source: Path
    target: Path
    status: Status
    convolutions: int = 0
    error: str | None = None


def migrate(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    kind: Kind | None = None,
    geometry: Geometry | None = None,
    overwrite: bool = False,
    jobs: int | None = None,
    progress: Callable[[Migration, int], None] | None = None,
) -> list[Migration]:
    """Write the quantized convolutions of old files as plain tensors.

    The new file needs neither quantized dtypes nor code of the old one; docs/migrated_files.md
    describes it. It is verified before it gets its name: it is read again, every number is
    compared, and each convolution is run as the old file and as the new one has it, and in float64.
    It is there whole or not at all, whenever the process is stopped. Run again, migrate goes on
    where it stopped: what is already there, whole and of the same source, is left as it is.

    Args:
        source: what `read` reads, or a folder; of that, all files at any depth that begin as
            PyTorch's do.
        target: the new file; of a folder, a folder, where `a/b.pt` becomes `a/b.pt.safetensors`.
        kind: `"safetensors"`, or `"state_dict"` for a file that torch.load loads with its default
            weights_only=True. By default what the target's suffix says (.safetensors, .pt, .pth),
            and `"safetensors"` in a folder.
        geometry: what state_dicts lack: by the name of the convolution, or "*" for all others, a
            mapping with any of `stride`, `padding`, `dilation`, `output_padding` (a number or one
            for each dimension), `groups`, `transposed`; what isn't named is as in torch.nn.Conv2d.
        overwrite: replace what is at the target.
        jobs: files that are worked on at a time, by default as many as there are cores.
        progress: called after each file with what became of it and the number of files.

    Returns:
        What became of each file, in the order of the sources' names. In a folder, a file that fails
        doesn't stop the others.

    Raises:
        FileExistsError: something else is at the target, unless `overwrite`.
        ValueError: the source is damaged or holds no quantized convolution, a convolution lacks its
            geometry, `kind` isn't told, or the new file isn't what it should be.
        NotImplementedError: no engine can run a convolution.
        MissingDependencyError: safetensors is not installed.
        OSError: a file can't be read or written.

    Example:
        >>> import os, tempfile, torch, torch_qconv_prepack as qconv
        >>> folder = tempfile.mkdtemp()
        >>> old, new = os.path.join(folder, "old.pt"), os.path.join(folder, "new.pth")
        >>> torch.save(torch.ao.nn.quantized.Conv2d(3, 8, 3), old)
        >>> [migration] = qconv.checkpoint.migrate(old, new)
        >>> migration.status, migration.convolutions
        ('migrated', 1)
        >>> list(torch.load(new))[:2]
        ['weight', 'weight_scale']
    """
    source, target = Path(source), Path(target)
    if source.is_dir():
        pairs = _pairs(source, target, kind or "safetensors")
    else:
        pairs = [(source, target)]
        kind = kind or SUFFIXES.get(target.suffix)
        if kind is None:
            raise ValueError(
                f"migrate: target must end in {', '.join(SUFFIXES)}, or kind be given, "
                f"got {os.fspath(target)}"
            )
    if kind not in (None, *SUFFIXES.values()):
        raise ValueError(f"migrate: kind must be safetensors or state_dict, got {kind!r}")
    if jobs is not None and (not isinstance(jobs, int) or jobs < 1):
        raise ValueError(f"migrate: jobs must be an integer above 0, got {jobs!r}")
    work = _Work(kind or "safetensors", _checked_geometry(geometry), overwrite, source.is_dir())
    if not source.is_dir():
        migration = work.migrate_file(source, target)
        if progress:
            progress(migration, 1)
        return [migration]
    done: dict[Path, Migration] = {}
    with ThreadPoolExecutor(jobs or _cores()) as pool:
        futures: list[Future[Migration]] = [
            # With the engine that the caller's context chose.
            pool.submit(contextvars.copy_context().run, work.try_file, old, new)
            for old, new in pairs
        ]
        try:
            for future in as_completed(futures):
                migration = future.result()
                done[migration.source] = migration
                if progress:
                    progress(migration, len(pairs))
        except BaseException:
            # Files that are under way are finished, no other is begun.
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [done[old] for old, _ in pairs]


@dataclass(frozen=True)
class _Work:
    kind: Kind
    geometry: Geometry
    overwrite: bool
    make_folders: bool

    def try_file(self, source: Path, target: Path) -> Migration:
        """migrate_file, whose errors become a status."""
        try:
            return self.migrate_file(source, target)
        except MissingDependencyError:
            raise
        except _NoConvolutionsError:
            return Migration(source, target, "no convolutions")
        except OtherFileError:
            return Migration(source, target, "not read")
        except TOLD_ERRORS as error:
            return Migration(source, target, "failed", error=told(error))

    def migrate_file(self, source: Path, target: Path) -> Migration:
        if target.exists() and os.path.samefile(source, target):
            raise ValueError(f"migrate: target must be another file than the source, {source}")
        facts = _facts(source)
        if os.path.lexists(target) and not self.overwrite:
            return self._already_done(source, target, facts)
        records = [self._complete(record) for record in read(source)]
        if not records:
            raise _NoConvolutionsError(
                f"migrate: source must hold quantized convolutions, got none in {source}"
            )
        tensors = to_tensors(records, facts)
        if self.make_folders:
            target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(target, self.overwrite) as file:
            write_tensors(file, tensors, self.kind)
            file.flush()
            self._verify(records, file.name)
        return Migration(source, target, "migrated", len(records))

    def _already_done(self, source: Path, target: Path, facts: dict[str, Any]) -> Migration:
        remove_abandoned(target)  # a process may die when it has published its file
        try:
            found = read_migrated(target)
        except ValueError as error:
            problem = f"which is no whole migrated file ({error})"
        else:
            if found.source.get("sha256") == facts["sha256"]:
                return Migration(source, target, "already done", len(found.records))
            problem = f"which was migrated from another file, {found.source.get('name')!r}"
        raise FileExistsError(
            errno.EEXIST,
            f"migrate: target must not exist unless overwrite is given, {problem}",
            str(target),
        )

    def _verify(self, records: list[ConvRecord], path: str) -> None:
        new = {record.name: record for record in read_migrated(path).records}
        if set(new) != {record.name for record in records}:
            raise ValueError(
                f"migrate: {path} must hold the convolutions of the source, got others"
            )
        for record in records:
            try:
                verify(record, new[record.name])
            except (ValueError, NotImplementedError) as error:
                raise type(error)(f"migrate: {show(record.name)}: {error}") from None

    def _complete(self, record: ConvRecord) -> ConvRecord:
        """Add the geometry that a state_dict lacks."""
        if not record.missing:
            return record
        given = self.geometry.get(record.name, self.geometry.get("*"))
        if given is None:
            raise ValueError(
                f"migrate: {record.name!r} must have a geometry, which a state_dict doesn't hold; "
                "give it with geometry={name: {'stride': ..., ...}}, or migrate a file of the "
                "whole model"
            )
        defaults = {"stride": 1, "padding": 0, "dilation": 1, "output_padding": 0, "groups": 1}
        values = {**defaults, "transposed": bool(record.transposed), **given}
        for name in GEOMETRY[:4]:
            value = values[name]
            values[name] = (value,) * record.dims if isinstance(value, int) else tuple(value)
        try:
            return checked(replace(record, **values))
        except FormatError as error:
            raise ValueError(f"migrate: geometry of {record.name!r}: {error}") from None


class _NoConvolutionsError(ValueError):
    pass


def _pairs(source: Path, target: Path, kind: Kind) -> list[tuple[Path, Path]]:
    """The files in a folder that begin as PyTorch's do, and what they become."""
    if target.exists() and not target.is_dir():
        raise ValueError(f"migrate: target of a folder must be a folder, got the file {target}")
    suffix = ".safetensors" if kind == "safetensors" else ".pth"
    pairs = []
    inside = target.resolve()
    for path in sorted(source.rglob("*")):
        if not path.is_file() or path.resolve().is_relative_to(inside):
            continue
        with open(path, "rb") as file:
            if not file.read(4).startswith(_FIRST_BYTES):
                continue
        relative = path.relative_to(source)
        pairs.append((path, target / relative.with_name(relative.name + suffix)))
    return pairs


def _checked_geometry(geometry: Geometry | None) -> Geometry:
    for name, values in (geometry or {}).items():
        if not isinstance(values, Mapping) or not set(values) <= set(GEOMETRY):
            raise ValueError(
                f"migrate: geometry of {name!r} must be a mapping with {', '.join(GEOMETRY)}, "
                f"got {values!r}"
            )
        for field, value in values.items():
            numbers = (
                value if isinstance(value, (tuple, list)) and field in GEOMETRY[:4] else [value]
            )
            if not all(isinstance(number, int) for number in numbers):
                raise ValueError(
                    f"migrate: {field} of {name!r} must be an integer or one for each dimension, "
                    f"got {value!r}"
                )
    return geometry or {}


def _facts(path: Path) -> dict[str, Any]:
    """What the new file tells of the old one."""
    sha256 = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_BUFFER_BYTES):
            sha256.update(block)
        size = file.tell()
    return {"name": path.name, "size": size, "sha256": sha256.hexdigest()}


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
