"""The package builds completely, and says what to do where its library can't be loaded."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.utils import cpp_extension

import torch_qconv_prepack
from torch_qconv_prepack import _library
from torch_qconv_prepack._library import BuildInfo

ROOT = Path(__file__).parents[1]
PACKAGE = Path(torch_qconv_prepack.__file__).parent
RUNNING = str(torch.__version__)
INFO = BuildInfo("0.1.0", "2.13.0+cpu", "g++ 12.2.0", True)


def run_python(*arguments: str, cwd: Path, path: Path | None = None) -> tuple[int, str]:
    """Run this interpreter in ``cwd``, searching ``path`` first; return exit status and output."""
    result = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(path or cwd)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return result.returncode, result.stdout


@pytest.fixture
def copied_package(tmp_path: Path) -> Path:
    """A copy of the installed package for a test to damage; import it with tmp_path as cwd."""
    ignore = shutil.ignore_patterns("__pycache__")
    return Path(shutil.copytree(PACKAGE, tmp_path / "torch_qconv_prepack", ignore=ignore))


def import_error_of(package: Path) -> str:
    """Import the copied package in a fresh process and return the ImportError that must end it."""
    status, output = run_python("-c", "import torch_qconv_prepack", cwd=package.parent)
    assert status == 1, output
    last_line = output.strip().splitlines()[-1]
    assert last_line.startswith("ImportError: torch_qconv_prepack: "), output
    return last_line


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("2.13.0+cpu", (2, 13)),
        ("2.9.1", (2, 9)),
        ("2.14.0a0+git1234567", (2, 14)),
        ("3.0.0.dev20270101", (3, 0)),
    ],
)
def test_release_is_major_and_minor(version: str, expected: tuple[int, int]) -> None:
    assert _library.release(version) == expected


@pytest.mark.parametrize("version", ["2.11.0", "2.13.1+cpu", "3.0.0"])
def test_supported_torch_is_accepted(version: str) -> None:
    _library.check_torch_is_new_enough(version)


@pytest.mark.parametrize("version", ["2.10.1", "2.9.0+cpu", "1.13.1"])
def test_old_torch_is_refused(version: str) -> None:
    with pytest.raises(ImportError, match=rf"torch must be >= 2\.11, got {re.escape(version)}; "):
        _library.check_torch_is_new_enough(version)


@pytest.mark.parametrize("running", ["2.13.0+cpu", "2.13.1", "2.13.0+cu130"])
def test_same_release_is_accepted(running: str) -> None:
    _library.check_same_release("2.13.0+cpu", running)


@pytest.mark.parametrize("running", ["2.12.1", "2.14.0+cpu", "3.13.0"])
def test_another_release_is_refused_with_both_versions_and_the_command(running: str) -> None:
    with pytest.raises(ImportError) as error:
        _library.check_same_release("2.13.0+cpu", running)
    assert "built with torch 2.13.0+cpu" in str(error.value)
    assert f"imports it is {running}" in str(error.value)
    assert "pip install --no-build-isolation ." in str(error.value)


def test_a_file_that_is_no_library_is_refused_with_reason_and_versions(tmp_path: Path) -> None:
    library = tmp_path / "_quantized.so"
    library.write_bytes(b"no shared library")
    with pytest.raises(ImportError) as error:
        _library.load_library(library, INFO, "2.13.1")
    message = str(error.value)
    assert str(library) in message  # the dynamic linker's own reason, which names the file
    assert "built with torch 2.13.0+cpu by g++ 12.2.0, imported by torch 2.13.1" in message
    assert "make build" in message


def test_build_info_is_that_of_this_build() -> None:
    info = _library.load()
    assert info.version == torch_qconv_prepack.__version__
    assert _library.release(info.torch_version) == _library.release(RUNNING)
    assert re.search(r"\d+\.\d+", info.compiler)


def test_library_of_another_torch_release_is_refused_before_it_is_touched(
    copied_package: Path,
) -> None:
    record = copied_package / "_build_info.py"
    record.write_text(record.read_text().replace(RUNNING, "2.1.2"))
    # The dynamic linker would call this an invalid file, so the message shows that it wasn't asked.
    (copied_package / "_quantized.so").write_bytes(b"no shared library")
    message = import_error_of(copied_package)
    assert f"built with torch 2.1.2, but the torch that imports it is {RUNNING}" in message


def test_missing_library_is_reported_with_the_command_to_build_it(copied_package: Path) -> None:
    (copied_package / "_quantized.so").unlink()
    message = import_error_of(copied_package)
    assert "is not built" in message
    assert "make build" in message


@pytest.mark.parametrize("record", [None, "VERSION = '0.1.0'\n"], ids=["missing", "incomplete"])
def test_library_without_a_build_record_is_refused(tmp_path: Path, record: str | None) -> None:
    path = tmp_path / "_build_info.py"
    if record is not None:
        path.write_text(record)
    with pytest.raises(ImportError, match=r"no record of the torch .*make build"):
        _library.read_build_info(path)


@pytest.mark.parametrize(
    ("fake_torch", "expected"),
    [
        ("raise ImportError('no torch here')", "cannot build without torch (no torch here)"),
        ("__version__ = '2.10.1'", "torch must be >= 2.11, got 2.10.1"),
    ],
    ids=["no torch", "old torch"],
)
def test_setup_without_a_usable_torch_says_what_to_install(
    tmp_path: Path, fake_torch: str, expected: str
) -> None:
    (tmp_path / "torch" / "utils").mkdir(parents=True)
    (tmp_path / "torch" / "__init__.py").write_text(fake_torch)
    (tmp_path / "torch" / "utils" / "__init__.py").touch()
    (tmp_path / "torch" / "utils" / "cpp_extension.py").touch()
    status, output = run_python("setup.py", "--version", cwd=ROOT, path=tmp_path)
    assert status == 1, output
    assert expected in output
    assert "pip install --no-build-isolation ." in output


def test_oldest_torch_is_stated_alike_everywhere() -> None:
    oldest = ".".join(map(str, _library.MIN_TORCH))
    assert f'"torch>={oldest}"' in (ROOT / "pyproject.toml").read_text()
    assert f"MIN_TORCH = {_library.MIN_TORCH}" in (ROOT / "setup.py").read_text()


def test_a_regular_install_is_complete_without_the_source_tree(tmp_path: Path) -> None:
    status, output = run_python(
        "setup.py", "build", "--build-lib", str(tmp_path), cwd=ROOT, path=tmp_path
    )
    assert status == 0, output
    installed = tmp_path / "torch_qconv_prepack"
    for name in ("_quantized.so", "_build_info.py", "py.typed"):
        assert (installed / name).is_file(), name
    modules = {path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py")}
    assert {path.relative_to(installed) for path in installed.rglob("*.py")} == modules
    status, output = run_python(
        "-c", "import torch_qconv_prepack as qconv; print(qconv.__file__)", cwd=tmp_path
    )
    assert status == 0, output
    assert Path(output.strip().splitlines()[-1]) == installed / "__init__.py"


@pytest.mark.parametrize("name", ["libdnnl.so.3", "no_such_library.so"])
def test_onednn_is_loaded_from_where_it_is_or_reported(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(_library, "ONEDNN_SONAME", name)
    monkeypatch.setenv("ONEDNN_ROOT", str(tmp_path))
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / name).write_bytes(b"no shared library")
    first, *others = _library.onednn_candidates()
    assert first == str(tmp_path / "lib" / name)
    assert others[-1] == name  # wherever the dynamic linker looks
    if name == "no_such_library.so":
        with pytest.raises(ImportError) as error:
            _library.load_onednn("3.2.0")
        message = str(error.value)
        assert "built with oneDNN 3.2.0, which cannot be loaded" in message
        assert "pip install onednn-cpu-gomp" in message


def setup_output(tmp_path: Path, **variables: str) -> tuple[int, str]:
    """Exit status and output of setup.py with these environment variables, building nothing."""
    result = subprocess.run(
        [sys.executable, "setup.py", "--version"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return result.returncode, result.stdout


def fake_onednn(root: Path, version: tuple[int, int, int]) -> None:
    header = root / "include" / "oneapi" / "dnnl" / "dnnl_version.h"
    header.parent.mkdir(parents=True)
    parts = zip(("MAJOR", "MINOR", "PATCH"), version, strict=True)
    header.write_text("".join(f"#define DNNL_VERSION_{name} {n}\n" for name, n in parts))
    (root / "lib64").mkdir()
    (root / "lib64" / "libdnnl.so").touch()


def test_setup_can_be_told_to_do_without_onednn(tmp_path: Path) -> None:
    status, output = setup_output(tmp_path, QCONV_WITHOUT_ONEDNN="1")
    assert status == 0, output
    assert "building without oneDNN (QCONV_WITHOUT_ONEDNN is set)" in output


def test_setup_takes_the_onednn_under_its_root(tmp_path: Path) -> None:
    fake_onednn(tmp_path, (3, 5, 1))
    status, output = setup_output(tmp_path, ONEDNN_ROOT=str(tmp_path))
    assert status == 0, output
    assert f"building with oneDNN 3.5.1 of {tmp_path / 'lib64'}" in output


@pytest.mark.parametrize("version", [(3, 1, 9), (4, 0, 0), None])
def test_setup_refuses_a_root_without_a_onednn_that_will_do(
    tmp_path: Path, version: tuple[int, int, int] | None
) -> None:
    if version:
        fake_onednn(tmp_path, version)
    status, output = setup_output(tmp_path, ONEDNN_ROOT=str(tmp_path))
    assert status == 1, output
    assert f"ONEDNN_ROOT must hold oneDNN >= 3.2 and < 4, found none in {tmp_path}" in output


def test_the_source_for_builds_without_onednn_compiles() -> None:
    source = "csrc/engines/onednn/built_without_onednn.cpp"
    flags = ["-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'csrc'}"]
    for path in cpp_extension.include_paths():
        flags += ["-isystem", path]
    result = subprocess.run(
        [cpp_extension.get_cxx_compiler(), *flags, source], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
