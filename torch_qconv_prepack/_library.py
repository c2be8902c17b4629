"""Loads the C++ library, or says why that cannot work and what to do about it.

The library holds quantized tensors and packed-params classes, whose C++ interface changes from one
torch release to the next without notice. So it runs only under the torch release (major.minor) that
it was built with, and that is checked before the library is touched: a mismatch that gets as far as
the dynamic linker is an unreadable symbol error at best and a crash at worst.
"""

from __future__ import annotations

import ctypes
import functools
import os
import runpy
import site
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

__all__ = ["BuildInfo", "load"]

MIN_TORCH = (2, 11)  # setup.py and pyproject.toml state the same bound
LIBRARY = Path(__file__).with_name("_quantized.so")
RECORD = Path(__file__).with_name("_build_info.py")
ONEDNN_SONAME = "libdnnl.so.3"
REBUILD = (
    "in the source directory of torch_qconv_prepack run "
    "`make build` or `pip install --no-build-isolation .`"
)


@dataclass(frozen=True)
class BuildInfo:
    """What the C++ library was made from and with.

    Attributes:
        version: of torch_qconv_prepack, as ``"0.1.0"``.
        torch_version: of the torch whose headers and libraries were used, as ``"2.13.0+cpu"``.
        compiler: first line of what the compiler prints with ``--version``.
        cxx11_abi: whether ``std::string`` has the layout of C++11 (``_GLIBCXX_USE_CXX11_ABI=1``).
        onednn_version: of the oneDNN it was built with, as ``"3.2.0"``, or None without.
    """

    version: str
    torch_version: str
    compiler: str
    cxx11_abi: bool
    onednn_version: str | None = None


@functools.cache
def load() -> BuildInfo:
    """Load the library, which registers its ops and classes with torch; later calls do nothing.

    Returns:
        What the library was built from and with.

    Raises:
        ImportError: torch is too old or of another release than the one at build time, or the
            library is missing or cannot be loaded. The message says what to run.
    """
    running = str(torch.__version__)
    check_torch_is_new_enough(running)
    check_library_exists(LIBRARY)
    info = read_build_info(RECORD)
    check_same_release(info.torch_version, running)
    if info.onednn_version is not None:
        load_onednn(info.onednn_version)
    load_library(LIBRARY, info, running)
    return info


def check_torch_is_new_enough(running: str) -> None:
    """Raise ImportError if ``running``, a version of torch, is older than the oldest supported."""
    if release(running) < MIN_TORCH:
        oldest = ".".join(map(str, MIN_TORCH))
        raise ImportError(
            f"torch_qconv_prepack: torch must be >= {oldest}, got {running}; "
            f"install a newer torch (pip install 'torch>={oldest}'), then {REBUILD}"
        )


def check_library_exists(library: Path) -> None:
    """Raise ImportError if the file ``library`` does not exist."""
    if not library.is_file():
        raise ImportError(
            f"torch_qconv_prepack: its C++ library is not built ({library} is missing); {REBUILD}"
        )


def read_build_info(record: Path) -> BuildInfo:
    """Return what setup.py wrote to the file ``record``; ImportError if missing or incomplete."""
    try:
        # Not by import: beside an editable install that could find the record of another library.
        names = runpy.run_path(str(record))
        return BuildInfo(
            version=names["VERSION"],
            torch_version=names["TORCH_VERSION"],
            compiler=names["COMPILER"],
            cxx11_abi=names["CXX11_ABI"],
            onednn_version=names["ONEDNN_VERSION"],
        )
    except (OSError, KeyError) as error:
        raise ImportError(
            "torch_qconv_prepack: its C++ library has no record of the torch it was built with "
            f"({error}); {REBUILD}"
        ) from error


def check_same_release(built_with: str, running: str) -> None:
    """Raise ImportError if two versions of torch differ in major or minor number."""
    if release(built_with) != release(running):
        raise ImportError(
            f"torch_qconv_prepack: its C++ library was built with torch {built_with}, but the "
            f"torch that imports it is {running}, and torch's C++ interface for quantized tensors "
            f"differs between releases; to rebuild it with torch {running}, {REBUILD}"
        )


def onednn_candidates() -> Iterator[str]:
    """Yield where oneDNN may be: below ONEDNN_ROOT, in this environment, where the linker looks."""
    root = os.environ.get("ONEDNN_ROOT")
    prefixes = [root] if root else []
    prefixes += [sys.prefix, sysconfig.get_path("data"), site.getuserbase()]
    for prefix in dict.fromkeys(prefixes):
        for lib in ("lib", "lib64"):
            path = Path(prefix, lib, ONEDNN_SONAME)
            if path.is_file():
                yield str(path)
    yield ONEDNN_SONAME


def load_onednn(built_with: str) -> None:
    """Load oneDNN, which the C++ library names without saying where it is.

    torch is imported before, so that both use torch's OpenMP and thus one pool of threads.

    Raises:
        ImportError: it is nowhere to be found, or none found can be loaded.
    """
    reasons = []
    for candidate in onednn_candidates():
        try:
            ctypes.CDLL(candidate)
        except OSError as error:
            reasons.append(str(error))
        else:
            return
    raise ImportError(
        f"torch_qconv_prepack: its C++ library was built with oneDNN {built_with}, which cannot be "
        f"loaded ({'; '.join(reasons)}); install it (pip install onednn-cpu-gomp) or set "
        "ONEDNN_ROOT to where it is; or, to do without it, set QCONV_WITHOUT_ONEDNN=1 and "
        f"{REBUILD}"
    )


def load_library(library: Path, info: BuildInfo, running: str) -> None:
    """Load the file ``library`` into the process; ImportError if the dynamic linker refuses."""
    try:
        torch.ops.load_library(str(library))  # type: ignore[no-untyped-call]
    except (OSError, RuntimeError) as error:
        raise ImportError(
            f"torch_qconv_prepack: its C++ library cannot be loaded: {error} "
            f"(built with torch {info.torch_version} by {info.compiler}, imported by torch "
            f"{running}); {REBUILD}"
        ) from error


def release(version: str) -> tuple[int, int]:
    """Return major and minor number of a version of torch: (2, 13) for ``"2.13.0+cpu"``."""
    major, minor = version.split(".")[:2]
    return int(major), int(minor)
