"""`info` tells what is there, as text and as JSON with the documented keys."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import torch_qconv_prepack as qconv
from torch_qconv_prepack import __main__ as command_line
from torch_qconv_prepack import info
from torch_qconv_prepack.info import cpu
from torch_qconv_prepack.info.command import as_text

DOCS = Path(__file__).parents[1] / "docs" / "engines.md"

KEYS: dict[str, set[str]] = {
    "versions": {"torch_qconv_prepack", "torch", "python"},
    "built_with": {"torch", "onednn", "compiler", "cxx11_abi"},
    "machine": {"system", "architecture", "cpu", "cpu_features"},
    "threads": {"intra_op", "inter_op", "usable_cores"},
    "default_engine": {"name", "source"},
    "environment": {
        "TORCH_QCONV_ENGINE",
        "TORCH_QCONV_ENABLE",
        "TORCH_QCONV_ISA",
        "TORCH_QCONV_VERBOSE",
        "FBGEMM_ENABLE_INSTRUCTIONS",
        "ONEDNN_MAX_CPU_ISA",
        "OMP_NUM_THREADS",
    },
}


def output(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    assert command_line.main(["info", *options]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    return printed.out


def lines(text: str, section: str) -> dict[str, str]:
    """The lines of a section: name to value."""
    (body,) = (part for part in text.split("\n\n") if part.startswith(f"{section}\n"))
    rows = (re.split(r"\s{2,}", line.strip(), maxsplit=1) for line in body.splitlines()[1:])
    return dict(rows)  # type: ignore[arg-type]


def test_json_has_the_documented_keys(capsys: pytest.CaptureFixture[str]) -> None:
    facts = json.loads(output(capsys, "--json"))
    assert set(facts) == {*KEYS, "engines"}
    for section, keys in KEYS.items():
        assert set(facts[section]) == keys
    documented = set(re.findall(r"`(\w+)`", DOCS.read_text().partition("## `info`")[2]))
    assert documented >= set(facts).union(*KEYS.values())


def test_json_tells_what_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    facts = json.loads(output(capsys, "--json"))
    assert facts["versions"] == {
        "torch_qconv_prepack": qconv.__version__,
        "torch": str(torch.__version__),
        "python": platform.python_version(),
    }
    assert facts["engines"] == [dataclasses.asdict(record) for record in qconv.engines()]
    assert facts["threads"]["intra_op"] == torch.get_num_threads()
    assert facts["environment"]["OMP_NUM_THREADS"] == os.environ.get("OMP_NUM_THREADS")


def test_default_engine_and_its_source_follow_the_context(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with qconv.engine("fbgemm"):
        facts = json.loads(output(capsys, "--json"))
        text = output(capsys)
    assert facts["default_engine"] == {"name": "fbgemm", "source": "context"}
    assert lines(text, "default engine") == {"fbgemm": "from a qconv.engine() block"}


def test_text_has_every_value_of_the_json(capsys: pytest.CaptureFixture[str]) -> None:
    facts, text = json.loads(output(capsys, "--json")), output(capsys)
    for section in ("versions", "threads", "machine"):
        printed = lines(text, section)
        for name, value in facts[section].items():
            if name != "cpu_features":
                assert printed[name] == ("unknown" if value is None else str(value))
    assert set(lines(text, "engines")) == {record.name for record in qconv.engines()}
    printed = lines(text, "environment")
    assert printed == {k: v or "not set" for k, v in facts["environment"].items()}
    features = facts["machine"]["cpu_features"]
    machine = lines(text, "machine")
    assert machine["has"].split() == ([k for k, v in features.items() if v] or ["none"])
    assert machine["lacks"].split() == ([k for k, v in features.items() if not v] or ["none"])


def test_text_says_why_an_engine_is_not_available() -> None:
    facts = info.collect()
    missing = qconv.EngineInfo("other", False, None, "built without it", "engine", None)
    silent = qconv.EngineInfo("silent", True, "1.2", None, "engine", None)
    facts["engines"] = [dataclasses.asdict(record) for record in (missing, silent)]
    assert lines(as_text(facts), "engines") == {
        "other": "not available: built without it",
        "silent": "1.2",
    }


def test_command_runs_in_a_process_of_its_own_without_the_demos_packages() -> None:
    program = """
import sys
sys.modules["rich"] = sys.modules["sklearn"] = None  # an import of them fails
from torch_qconv_prepack.__main__ import main
sys.exit(main(["info", "--json"]))
"""
    variables = {"TORCH_QCONV_ENGINE": "x86", "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stderr == ""
    facts: dict[str, Any] = json.loads(result.stdout)
    assert facts["default_engine"] == {"name": "x86", "source": "TORCH_QCONV_ENGINE"}
    assert facts["environment"] == {
        **{name: os.environ.get(name) for name in KEYS["environment"]},
        **variables,
    }
    assert facts["threads"]["intra_op"] == 1


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="Linux tells what it finds")
@pytest.mark.skipif(platform.machine() != "x86_64", reason="names of x86-64")
def test_features_are_those_that_linux_finds() -> None:
    text = Path("/proc/cpuinfo").read_text()
    (flags, *_) = re.findall(r"^flags\s*: (.*)$", text, re.MULTILINE)
    features = cpu.cpu_features()
    assert len(features) == 8
    assert features == {name: name in flags.split() for name in features}


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        ("AMD64", {"avx2": True, "avx512f": True, "amx_int8": False}),
        ("aarch64", {"dotprod": True, "i8mm": False}),
        ("riscv64", {}),
    ],
)
def test_features_are_those_of_the_architecture(
    monkeypatch: pytest.MonkeyPatch, machine: str, expected: dict[str, bool]
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(cpu, "_capabilities", lambda: {"avx2": True, "avx512_f": True, "dot": True})
    found = cpu.cpu_features()
    assert expected.items() <= found.items()
    assert bool(found) == bool(expected)


def test_model_name_is_found_where_somebody_tells_it(tmp_path: Path) -> None:
    path = tmp_path / "cpuinfo"
    assert cpu._model_name(path) is None
    path.write_text("processor\t: 0\nmodel name\t: One: two\nmodel name\t: Three\n")
    assert cpu._model_name(path) == "One: two"
    path.write_text("processor\t: 0\nFeatures\t: asimddp\n")
    assert cpu._model_name(path) is None
