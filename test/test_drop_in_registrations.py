"""What is registered with torch: importing changes nothing, drop-in mode the conv ops alone."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from conv_case import ConvCase
from ops import is_ours, op
from registrations import conv_ops, differences, registrations

import torch_qconv_prepack as qconv

# PyTorch declares them, but has no kernels for them; they stay as they are.
WITHOUT_KERNELS = {"_quantized::conv3d", "_quantized::conv3d_relu"}


def run_program(program: str) -> subprocess.CompletedProcess[str]:
    variables = {k: v for k, v in os.environ.items() if k != "TORCH_QCONV_ENABLE"}
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**variables, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_importing_the_package_changes_nothing_in_torch() -> None:
    result = run_program(
        "from registrations import differences, registrations\n"
        "before = registrations()\n"
        "assert len(before) > 2000\n"
        "import torch_qconv_prepack\n"
        "print(differences(before, registrations()))\n"
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "[]\n", "")


def test_all_conv_ops_and_no_others_are_overridden_and_then_restored() -> None:
    before = registrations()
    assert len(conv_ops()) == 71  # what PyTorch 2.13 has: none was overlooked
    with qconv.enabled():
        found = set(differences(before, registrations()))
        assert found == (conv_ops() - WITHOUT_KERNELS) | {"ScriptObject"}
    assert differences(before, registrations()) == []


def test_turning_it_on_warns_of_nothing() -> None:
    result = run_program(
        "import warnings\n"
        "warnings.simplefilter('error')\n"
        "import torch_qconv_prepack as qconv\n"
        "qconv.enable()\n"
        "qconv.disable()\n"
        "qconv.enable()\n"
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_torchs_warnings_are_heard_while_it_is_on() -> None:
    with qconv.enabled(), warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        torch.add(torch.ones(2), 1, out=torch.ones(3))  # warned of in C++
    assert any("was resized" in str(warning.message) for warning in heard)


PREPACK_OPS = sorted(name for name in conv_ops() if name.endswith("_prepack"))


@pytest.mark.parametrize("name", PREPACK_OPS)
def test_prepack_op_packs_here_under_pytorchs_type(name: str) -> None:
    namespace, _, short = name.partition("::")
    found = re.search(r"(\d)d", short)
    dims = int(found[1]) if found else 2
    transposed = "transpose" in short
    weight = ConvCase("case", dims=dims, transposed=transposed).data().weight
    ones, zeros = [1] * dims, [0] * dims
    arguments = (weight, None, ones, zeros, *([zeros] * transposed), ones, 1)
    assert not is_ours(op(short, namespace)(*arguments))
    with qconv.enabled():
        params = op(short, namespace)(*arguments)
    assert is_ours(params)
    assert qconv.describe(params).kind == f"conv{'_transpose' * transposed}{dims}d"
    stored = max(dims, 2)
    assert str(params._type()).endswith(f"classes.quantized.Conv{stored}dPackedParamsBase")


def test_there_are_twelve_prepack_ops() -> None:
    assert len(PREPACK_OPS) == 12
