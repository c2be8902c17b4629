"""Files that PyTorch wrote, old and damaged ones, loaded by PyTorch with drop-in mode on."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ops
import pytest
import torch
from bad_input import assert_raises
from legacy import ExpectedFile, LegacyFile, legacy_files
from saved_states import STOCK_CLASS, build
from spoiled_states import BIAS, CONFIG, V1, V2, V3, WEIGHT, replaced
from test_legacy_files import MAX_QUANTA, MAX_SHARE
from torch import Tensor

import torch_qconv_prepack as qconv


def assert_runs(file: LegacyFile, run: Callable[[Tensor], Tensor]) -> None:
    expected = ExpectedFile(file)
    y = run(expected.x)
    assert y.shape == expected.y.shape
    error = y.int_repr().int() - expected.y.int_repr().int()
    assert int(error.abs().max()) <= MAX_QUANTA
    assert float((error != 0).double().mean()) <= MAX_SHARE


def torchscript_files() -> list[LegacyFile]:
    """Without those that torch.jit.load can't read: per-channel weights of PyTorch 1.3 and 1.4,
    whose scales are lists. checkpoint.read does (test_checkpoint_read.py)."""
    return [
        file
        for file in legacy_files("raw", "mod", "freeze")
        if not (file.name.startswith(("torch-1.3.", "torch-1.4.")) and ".chn." in file.name)
    ]


@pytest.mark.parametrize("file", torchscript_files(), ids=lambda file: file.name)
def test_old_torchscript_files_load_and_run(file: LegacyFile) -> None:
    with qconv.enabled():
        module = torch.jit.load(str(file.path))
        assert_runs(file, module)
    if file.kind != "freeze":  # which has a constant
        assert ops.is_ours(module.p if file.kind == "raw" else module._packed_params)
    assert_runs(file, module)


@pytest.mark.parametrize("file", legacy_files("obj"), ids=lambda file: file.name)
def test_old_pickled_objects_load_and_run(file: LegacyFile) -> None:
    with qconv.enabled():
        params = torch.load(file.path, weights_only=False)["packed"]
    assert ops.is_ours(params)
    y = ExpectedFile(file).y
    run = ops.op(file.op, "quantized")
    assert_runs(file, lambda x: run(x, params, y.q_scale(), y.q_zero_point()))


# Malformed states.

Spoil = tuple[Any, type[Exception], str]

# PyTorch crashes of most of these: SIGFPE or SIGSEGV.
MALFORMED: dict[str, Spoil] = {
    "groups 0, version 1": (replaced(V1, 5, torch.tensor([0])), ValueError, "groups must be "),
    "groups 0, version 2": (
        (*V2[:1], [CONFIG * (torch.arange(11) != 9), WEIGHT], V2[2]), ValueError, "groups must be "
    ),
    "stride 0, version 3": (replaced(V3, 1, [2, 0, 0, *V3[1][3:]]), ValueError, "stride must be "),
    "groups 2**40, version 3": (
        replaced(V3, 1, [*V3[1][:-2], 2**40, 0]), ValueError, "groups must "
    ),
    "only the config": (replaced(V2, 1, [CONFIG]), ValueError, "state version 2: element 1 "),
    "weight on meta": (
        replaced(V3, 2, [None, torch.empty(4, 2, 3, 3, device="meta"), BIAS]), ValueError, "weight "
    ),
    "a short config": (replaced(V3, 1, V3[1][:5]), ValueError, "state version 3: the config "),
    "another version": (replaced(V3, 0, 7), ValueError, "state must begin with "),
}  # fmt: skip


@pytest.mark.parametrize(("state", "error", "text"), list(MALFORMED.values()), ids=list(MALFORMED))
def test_malformed_states_are_refused(state: Any, error: type[Exception], text: str) -> None:
    with qconv.enabled():
        start = f"Conv2dPackedParamsBase.__setstate__: {text}"
        assert_raises(error, start, lambda: build(STOCK_CLASS.format(2), state))
        assert ops.is_ours(build(STOCK_CLASS.format(2), V3))


DAMAGED_FILE = """
import io, sys, zipfile
import torch
torch.backends.quantized.engine = "fbgemm"
weight = torch._make_per_tensor_quantized_tensor(torch.ones(8, 4, 3, 3, dtype=torch.int8), 0.1, 0)

class Layer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.p = torch.ops.quantized.conv2d_prepack(weight, None, [1, 1], [0, 0], [1, 1], 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.ops.quantized.conv2d(x, self.p, 1.0, 0)

whole, damaged = io.BytesIO(), io.BytesIO()
torch.jit.save(torch.jit.script(Layer()), whole)
with zipfile.ZipFile(whole) as before, zipfile.ZipFile(damaged, "w") as after:
    changed = 0
    for name in before.namelist():
        data = before.read(name)
        if len(data) == 22:  # the config: 11 int16, of which one is the groups
            config = torch.frombuffer(bytearray(data), dtype=torch.int16)
            config[9] = 0
            data = config.numpy().tobytes()
            changed += 1
        after.writestr(name, data)
assert changed == 1
import torch_qconv_prepack as qconv
if sys.argv[1] == "on":
    qconv.enable()
damaged.seek(0)
torch.jit.load(damaged)
"""


def test_pytorch_dies_of_one_changed_number_in_a_file_and_this_package_says_so(
    tmp_path: Path,
) -> None:
    program = tmp_path / "program.py"  # TorchScript reads the source of what it compiles
    program.write_text(DAMAGED_FILE)

    def load(mode: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-W", "ignore", str(program), mode]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert load("off").returncode == -signal.SIGFPE
    result = load("on")
    assert result.returncode == 1
    assert "Conv2dPackedParamsBase.__setstate__: groups must be " in result.stderr
