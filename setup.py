"""Builds the C++ extension; everything else about the package is in pyproject.toml.

The extension is a plain shared library without a Python module inside: its ops and classes register
themselves when ``torch_qconv_prepack/_library.py`` loads it with ``torch.ops.load_library``.
"""

import os
import subprocess
import sys
import sysconfig
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
# -isystem instead of -I (which is why this is not a cpp_extension.CppExtension): -Werror is meant
# for this project's code, not for torch's headers.
for include_path in cpp_extension.include_paths():
    COMPILE_FLAGS += ["-isystem", include_path]

extension = Extension(
    "torch_qconv_prepack._quantized",
    sources=files("*.cpp"),
    depends=files("*.h"),
    include_dirs=[str(ROOT / "csrc")],
    library_dirs=cpp_extension.library_paths(),
    # Not torch_python: the library has no Python in it.
    libraries=["c10", "torch_cpu", "torch"],
    extra_compile_args=COMPILE_FLAGS,
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
        )


setup(ext_modules=[extension], cmdclass={"build_ext": BuildExtension})
