"""The source tree keeps to its layers: checked here, not hoped for.

`violations` reads a source tree and returns one line per breach; the tests run it on this project,
and on small trees with one breach planted to show that it would be found.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Each folder of csrc, and the folders whose headers it may include beside its own.
MAY_INCLUDE: dict[str, set[str]] = {
    "drop_in": {"ops", "packed_params", "state", "engines", "conv"},
    "ops": {"packed_params", "plain", "state", "engines", "conv"},
    "packed_params": {"state", "engines", "conv"},
    "plain": {"engines", "conv"},
    "state": {"conv"},
    "engines": {"conv", "native"},
    "conv": set(),
    "native": set(),
}

# Builds without torch, so that it outlives torch's C++ interfaces.
WITHOUT_TORCH = "native"
TORCH_FOLDERS = {"ATen", "c10", "caffe2", "torch"}

# What registers something with torch, and the only folders that do it.
REGISTRATIONS: list[tuple[str, re.Pattern[str], set[str]]] = [
    ("an op schema", re.compile(r'"\s*[\w:.]+\([^"]*\)\s*->'), {"ops", "drop_in"}),
    ("a class registration", re.compile(r"\bclass_\s*<"), {"packed_params"}),
    (
        "a TORCH_LIBRARY block",
        re.compile(r"\bTORCH_LIBRARY\w*\s*\("),
        {"ops", "packed_params", "drop_in"},
    ),
]

# Folders of these trees explain themselves in a README.md; a docstring will do for Python packages,
# and a folder of data speaks for the folders in it.
DOCUMENTED = ["csrc", "torch_qconv_prepack", "test", "docs", "benchmarks"]
GENERATED = {"__pycache__", "_build", "_static", "_templates", "images"}

COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]', re.MULTILINE)


def violations(root: Path) -> list[str]:
    """Return every breach of the layers in the tree at ``root``, as ``path: what is wrong``."""
    csrc = root / "csrc"
    found = []
    for path in sorted([*csrc.rglob("*.h"), *csrc.rglob("*.cpp")]):
        layer = path.relative_to(csrc).parts[0]
        if layer not in MAY_INCLUDE:
            wrong: Iterator[str] = iter(["is in no layer"])
        else:
            code = COMMENT.sub("", path.read_text())
            wrong = iter([*wrong_includes(csrc, layer, code), *wrong_registrations(layer, code)])
        found += [f"{path.relative_to(root)}: {reason}" for reason in wrong]
    return found


def wrong_includes(csrc: Path, layer: str, code: str) -> Iterator[str]:
    """Yield what is wrong with the #include lines of ``code``, a file of ``layer``."""
    for bracket, header in INCLUDE.findall(code):
        first = header.split("/")[0]
        if layer == WITHOUT_TORCH and first in TORCH_FOLDERS:
            yield f"includes {header}, a header of torch"
        if bracket == "<" and first not in MAY_INCLUDE:
            continue
        if not (csrc / header).is_file():
            yield f"includes {header}, which is no path of a header in csrc"
        elif first != layer and first not in MAY_INCLUDE[layer]:
            yield f"includes {header}, but {layer} may not include {first}"


def wrong_registrations(layer: str, code: str) -> Iterator[str]:
    """Yield what ``code``, a file of ``layer``, registers with torch though it is not its place."""
    joined = re.sub(r'"\s*"', "", code)  # adjacent string literals are one string
    for what, pattern, layers in REGISTRATIONS:
        match = pattern.search(joined)
        if match and layer not in layers:
            yield f"has {what} ({match.group().strip()}), which belongs in {sorted(layers)}"


def undocumented_folders(root: Path) -> list[str]:
    """Return the folders that hold files but say nowhere what they are for."""
    folders = [
        folder
        for tree in DOCUMENTED
        for folder in [root / tree, *(root / tree).rglob("*")]
        if folder.is_dir()
        and not GENERATED.intersection(folder.relative_to(root).parts)
        and not any(part.startswith(".") for part in folder.relative_to(root).parts)
        and "data" not in folder.relative_to(root).parts[:-1]
        and any(folder.iterdir())
    ]
    return [str(folder.relative_to(root)) for folder in sorted(folders) if not explains(folder)]


def explains(folder: Path) -> bool:
    """Whether ``folder`` has a README.md or, as a Python package, a docstring."""
    package = folder / "__init__.py"
    if package.is_file() and ast.get_docstring(ast.parse(package.read_text())):
        return True
    readme = folder / "README.md"
    return readme.is_file() and bool(readme.read_text().strip())


def write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def test_the_layers_have_an_order() -> None:
    """Nobody includes itself through others, so that there is a lower and a higher."""
    pending = dict(MAY_INCLUDE)
    while pending:
        lowest = [layer for layer, below in pending.items() if not below.intersection(pending)]
        assert lowest, f"these include each other: {sorted(pending)}"
        for layer in lowest:
            del pending[layer]


def test_the_sources_keep_to_their_layers() -> None:
    assert list((ROOT / "csrc").rglob("*.cpp"))
    found = violations(ROOT)
    assert not found, "\n".join(found)


def test_every_folder_says_what_it_is_for() -> None:
    found = undocumented_folders(ROOT)
    assert not found, f"no README.md in {found}"


@pytest.fixture
def clean_tree(tmp_path: Path) -> Path:
    """A source tree with one file per layer that keeps to all rules."""
    for layer, below in MAY_INCLUDE.items():
        write(tmp_path, f"csrc/{layer}/one.h", "#pragma once\n#include <vector>\n")
        includes = "".join(f'#include "{name}/one.h"\n' for name in [layer, *sorted(below)])
        torch = "" if layer == WITHOUT_TORCH else "#include <ATen/core/Tensor.h>\n"
        write(tmp_path, f"csrc/{layer}/one.cpp", includes + torch)
    schema = 'TORCH_LIBRARY(name, m) { m.def("conv2d(Tensor x) -> Tensor"); }\n'
    write(tmp_path, "csrc/ops/schemas.cpp", schema)
    classes = 'TORCH_LIBRARY_FRAGMENT(name, m) { m.class_<Params>("Params"); }\n'
    write(tmp_path, "csrc/packed_params/classes.cpp", classes)
    write(tmp_path, "csrc/conv/said.cpp", '// like m.def("f() -> int") and #include "ops/one.h"\n')
    return tmp_path


def test_checker_accepts_a_tree_that_keeps_to_the_rules(clean_tree: Path) -> None:
    assert violations(clean_tree) == []


@pytest.mark.parametrize(
    ("path", "code", "expected"),
    [
        ("conv/bad.h", '#include "engines/one.h"', "conv may not include engines"),
        ("engines/fbgemm/bad.cpp", '#include "state/one.h"', "engines may not include state"),
        ("state/bad.cpp", '#include "engines/one.h"', "state may not include engines"),
        ("packed_params/bad.h", '#  include "ops/one.h"', "packed_params may not include ops"),
        ("ops/bad.h", '#include "drop_in/one.h"', "ops may not include drop_in"),
        ("conv/bad.h", "#include <ops/one.h>", "conv may not include ops"),
        ("engines/bad.cpp", '#include "one.h"', "one.h, which is no path of a header in csrc"),
        ("native/bad.h", "#include <torch/library.h>", "torch/library.h, a header of torch"),
        ("native/bad.h", "#include <c10/util/Half.h>", "c10/util/Half.h, a header of torch"),
        ("native/avx2/bad.cpp", '#include "conv/one.h"', "native may not include conv"),
        ("helpers/bad.h", "", "is in no layer"),
        ("bad.cpp", "", "is in no layer"),
        ("state/bad.cpp", 'm.def("f(int a, "\n  "int b) -> int");', "has an op schema"),
        ("packed_params/bad.cpp", 'm.def("name::f(int a) -> int");', "has an op schema"),
        ("ops/bad.cpp", 'm.class_<Params>("Params");', "has a class registration"),
        ("engines/bad.cpp", "TORCH_LIBRARY_IMPL(a, b, m) {}", "has a TORCH_LIBRARY block"),
    ],
)
def test_checker_finds_a_planted_violation(
    clean_tree: Path, path: str, code: str, expected: str
) -> None:
    write(clean_tree, f"csrc/{path}", code + "\n")
    (found,) = violations(clean_tree)
    assert found.startswith(f"csrc/{path}: ")
    assert expected in found


def test_checker_finds_folders_that_say_nothing(tmp_path: Path) -> None:
    write(tmp_path, "csrc/README.md", "The C++ sources.\n")
    write(tmp_path, "csrc/conv/geometry.h", "")
    write(tmp_path, "test/README.md", "\n")
    write(tmp_path, "test/data/README.md", "Saved files, a folder for each version.\n")
    write(tmp_path, "test/data/old/saved.pt", "")
    write(tmp_path, "test/__pycache__/made.pyc", "")
    write(tmp_path, "torch_qconv_prepack/__init__.py", '"""Says what it is."""\n')
    write(tmp_path, "torch_qconv_prepack/demo/__init__.py", "import torch\n")
    assert undocumented_folders(tmp_path) == ["csrc/conv", "test", "torch_qconv_prepack/demo"]
