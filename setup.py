"""Builds the C++ extension; everything else about the package is in pyproject.toml.

The extension is a plain shared library without a Python module inside: its ops and classes register
themselves when ``torch_qconv_prepack/_library.py`` loads it with ``torch.ops.load_library``.
"""

import os
import re
import site
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from setuptools import Extension, setup

# ninja, installed by pip beside this interpreter, is on PATH only if the environment is active.
os.environ["PATH"] = sysconfig.get_path("scripts") + os.pathsep + os.environ.get("PATH", "")

MIN_TORCH = (2, 11)  # `dependencies` in pyproject.toml states the same bound
HOW_TO_BUILD = (
    "install torch first (pip install 'torch>=2.11'), then run: pip install --no-build-isolation ."
)

try:
    import torch
    from torch.utils import cpp_extension
except ImportError as error:
    # torch is not in build-system.requires on purpose: an isolated build would fetch a torch of its
    # own, and the library would not match the torch that later loads it.
    sys.exit(f"torch_qconv_prepack: cannot build without torch ({error}); {HOW_TO_BUILD}")

if tuple(int(part) for part in torch.__version__.split(".")[:2]) < MIN_TORCH:
    sys.exit(f"torch_qconv_prepack: torch must be >= 2.11, got {torch.__version__}; {HOW_TO_BUILD}")

ROOT = Path(__file__).parent.resolve()


def files(pattern: str) -> list[str]:
    """Paths below csrc/ that match, relative to this file and in a fixed order."""
    return sorted(str(path.relative_to(ROOT)) for path in (ROOT / "csrc").rglob(pattern))


@dataclass(frozen=True)
class Onednn:
    """A oneDNN to build with."""

    version: str
    include: Path
    lib: Path


MIN_ONEDNN = (3, 2)  # below 4; csrc/engines/onednn/onednn_engine.cpp states the same bounds
HOW_TO_GET_ONEDNN = "pip install onednn-cpu-gomp onednn-devel-cpu-gomp, or set ONEDNN_ROOT"


def onednn_in(prefix: Path) -> Onednn | None:
    """The oneDNN installed under ``prefix``, if there is one that will do."""
    header = prefix / "include" / "oneapi" / "dnnl" / "dnnl_version.h"
    libs = ("lib", "lib64", f"lib/{sysconfig.get_config_var('MULTIARCH')}")
    lib = next((prefix / lib for lib in libs if (prefix / lib / "libdnnl.so").exists()), None)
    if lib is None or not header.is_file():
        return None
    found = dict(re.findall(r"#define DNNL_VERSION_(\w+)\s+(\d+)", header.read_text()))
    version = tuple(int(found.get(part, 0)) for part in ("MAJOR", "MINOR", "PATCH"))
    if not MIN_ONEDNN <= version < (4,):
        return None
    return Onednn(".".join(map(str, version)), prefix / "include", lib)


def find_onednn() -> Onednn | None:
    """The oneDNN under ONEDNN_ROOT, else in this Python's environment; prints what it found.

    Building without it is no error, unless ONEDNN_ROOT asks for it. QCONV_WITHOUT_ONEDNN=1 builds
    without it even if it is there.
    """
    bounds = f"oneDNN >= {'.'.join(map(str, MIN_ONEDNN))} and < 4"
    root = os.environ.get("ONEDNN_ROOT")
    if os.environ.get("QCONV_WITHOUT_ONEDNN", "0") not in ("", "0"):
        print("torch_qconv_prepack: building without oneDNN (QCONV_WITHOUT_ONEDNN is set)")
        return None
    prefixes = [root] if root else [sysconfig.get_path("data"), sys.prefix, site.getuserbase()]
    onednn = next(filter(None, (onednn_in(Path(prefix)) for prefix in prefixes)), None)
    if onednn:
        print(f"torch_qconv_prepack: building with oneDNN {onednn.version} of {onednn.lib}")
    elif root:
        sys.exit(f"torch_qconv_prepack: ONEDNN_ROOT must hold {bounds}, found none in {root}")
    else:
        print(f"torch_qconv_prepack: building without {bounds}; for it, {HOW_TO_GET_ONEDNN}")
    return onednn


ONEDNN = find_onednn()


def sources() -> list[str]:
    """What to compile: of the folder of oneDNN's engine, what needs oneDNN or what replaces it."""
    folder = Path("csrc", "engines", "onednn")
    replacement = str(folder / "built_without_onednn.cpp")
    return [
        path
        for path in files("*.cpp")
        if Path(path).parent != folder or (path == replacement) == (ONEDNN is None)
    ]


# No -march: the baseline must run on every x86-64 or arm64 machine. A kernel asks for newer
# instructions with a target attribute on its own functions.
COMPILE_FLAGS = [
    "-std=c++20",
    # -O3 for the vector loops: gcc's -O2 vectorizes only where the trip count is known.
    "-O3",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-fvisibility=hidden",
    # csrc/native gives the same bytes on every instruction set: a product and a sum are one fused
    # operation only where the source says so.
    "-ffp-contract=off",
    # at::parallel_for is a template: compiled without OpenMP it runs on the calling thread alone.
    # The library then needs libgomp.so.1, which is torch's own, loaded before.
    "-fopenmp",
    # Python's own flags bring -g, which makes the library many times larger and slower to compile.
    "-g0",
    # Source paths in the library, as in error messages, start with csrc/ and torch/ wherever it was
    # built: the same sources, torch and compiler give the same bytes.
    f"-ffile-prefix-map={ROOT}/=",
    f"-ffile-prefix-map={Path(torch.__file__).parents[1]}/=",
    "-DAT_PER_OPERATOR_HEADERS",
    # ninja does not see changes of -isystem headers; another torch changes this flag instead, and
    # so recompiles every file.
    f'-DTORCH_QCONV_BUILT_WITH_TORCH="{torch.__version__}"',
]
if ONEDNN:
    major, minor, _ = ONEDNN.version.split(".")
    COMPILE_FLAGS += [f"-DQCONV_ONEDNN_MAJOR={major}", f"-DQCONV_ONEDNN_MINOR={minor}"]
# -isystem instead of -I (which is why this is not a cpp_extension.CppExtension): -Werror is meant
# for this project's code, not for the headers of libraries. oneDNN's come before torch's, which has
# some of another oneDNN among its own.
for include_path in [*([str(ONEDNN.include)] if ONEDNN else []), *cpp_extension.include_paths()]:
    COMPILE_FLAGS += ["-isystem", include_path]

extension = Extension(
    "torch_qconv_prepack._quantized",
    sources=sources(),
    depends=files("*.h"),
    include_dirs=[str(ROOT / "csrc")],
    # No rpath to oneDNN: _library.py finds it where the package is used.
    library_dirs=[*cpp_extension.library_paths(), *([str(ONEDNN.lib)] if ONEDNN else [])],
    # Not torch_python: the library has no Python in it.
    libraries=["c10", "torch_cpu", "torch", *(["dnnl"] if ONEDNN else [])],
    extra_compile_args=COMPILE_FLAGS,
    extra_link_args=["-fopenmp"],
    language="c++",
)


class BuildExtension(cpp_extension.BuildExtension):
    """Keeps object files in build/ for every kind of build, and records what built the library."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs, no_python_abi_suffix=True)

    def finalize_options(self) -> None:
        super().finalize_options()
        # An editable install would otherwise compile everything anew in a temporary directory.
        self.build_temp = str(ROOT / "build" / f"objects-{sysconfig.get_platform()}")

    def run(self) -> None:
        super().run()
        library = Path(self.get_ext_fullpath(extension.name))
        library.with_name("_build_info.py").write_text(self.build_info())

    def build_info(self) -> str:
        """Source of _build_info.py, without dates or paths, so that builds can be reproduced."""
        compiler = subprocess.run(
            [cpp_extension.get_cxx_compiler(), "--version"],
            capture_output=True,
            text=True,
            check=True,
        )
        return (
            '"""What the library was built from and with; made by setup.py, for _library.py."""\n\n'
            f"VERSION = {self.distribution.get_version()!r}\n"
            f"TORCH_VERSION = {str(torch.__version__)!r}\n"
            f"COMPILER = {compiler.stdout.splitlines()[0]!r}\n"
            f"CXX11_ABI = {torch.compiled_with_cxx11_abi()!r}\n"
            f"ONEDNN_VERSION = {ONEDNN.version if ONEDNN else None!r}\n"
        )


setup(ext_modules=[extension], cmdclass={"build_ext": BuildExtension})
