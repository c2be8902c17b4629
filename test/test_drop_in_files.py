"""Files that PyTorch wrote, old and damaged ones, loaded by PyTorch with drop-in mode on."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import ops
import pytest
import torch
from bad_input import assert_raises
from comparison import assert_matches
from legacy import ExpectedFile, LegacyFile, legacy_files
from saved_states import STOCK_CLASS, build
from spoiled_states import BIAS, CONFIG, V1, V2, V3, WEIGHT, replaced
from test_checkpoint_read import MAX_QUANTA, read_one, reference_of
from torch import Tensor
from torch.ao.nn import quantized as nnq
from torch.ao.nn.intrinsic import quantized as nniq

import torch_qconv_prepack as qconv

Loaded = tuple[Any, Callable[[Tensor], Tensor]]  # what was packed, and what runs it


def loaded_torchscript(file: LegacyFile, _: ExpectedFile) -> Loaded:
    module = torch.jit.load(str(file.path))
    if file.kind == "freeze":  # a constant of the code
        return None, module
    return (module.p if file.kind == "raw" else module._packed_params), module


def loaded_object(file: LegacyFile, expected: ExpectedFile) -> Loaded:
    params = torch.load(file.path, weights_only=False)["packed"]
    run, y = ops.op(file.op, "quantized"), expected.y
    return params, lambda x: run(x, params, y.q_scale(), y.q_zero_point())


def loaded_module(file: LegacyFile, _: ExpectedFile) -> Loaded:
    module = torch.load(file.path, weights_only=False)
    # PyTorch's __setstate__ leaves out what a call of the module itself needs.
    return module._packed_params, module.forward


def loaded_state_dict(file: LegacyFile, expected: ExpectedFile) -> Loaded:
    dims, config = slice(-1 if file.is_1d else 0, None), expected.config
    name, *relu = file.op.split("_relu")
    dimensions = name[-2]
    transpose = {"output_padding": config.output_padding[dims]} if config.transpose else {}
    class_ = getattr(
        nniq if relu else nnq, f"Conv{'Transpose' * config.transpose}{'ReLU' * len(relu)}"
        f"{dimensions}d",
    )  # fmt: skip
    inputs, outputs = expected.weight.shape[1] * config.groups, expected.weight.shape[0]
    if config.transpose:
        inputs, outputs = outputs, inputs
    kernel = tuple(expected.weight.shape[2:])[dims]
    module = class_(
        inputs, outputs, kernel, config.stride[dims], config.padding[dims],
        dilation=config.dilation[dims], groups=config.groups, bias=expected.bias is not None,
        **transpose,
    )  # fmt: skip
    module.load_state_dict(torch.load(file.path, weights_only=True))
    return module._packed_params, module


LOADERS: dict[str, Callable[[LegacyFile, ExpectedFile], Loaded]] = {
    "raw": loaded_torchscript,
    "mod": loaded_torchscript,
    "freeze": loaded_torchscript,
    "obj": loaded_object,
    "pkl": loaded_module,
    "sd": loaded_state_dict,
}


def error_of_pytorch(file: LegacyFile) -> str | None:
    """What PyTorch says of a file that it no longer loads, if it is one."""
    if not file.name.startswith(("torch-1.3.", "torch-1.4.")):
        return None
    if ".zip.sd." in file.name:
        return "failed locating file"  # the first zip archives had their tensors elsewhere
    if ".chn." in file.name and LOADERS[file.kind] is loaded_torchscript:
        return "Expected Tensor but got GenericList"  # the scales
    return None


FILES = [file for file in legacy_files() if error_of_pytorch(file) is None]
TAKE_ALL = ("auto", "native")


@pytest.mark.filterwarnings("ignore:.*has poor numerical accuracy:UserWarning")
@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")
@ops.on_engines(FILES, "file", ops.ENGINE_NAMES)
def test_old_files_load_and_run(file: LegacyFile, engine: str) -> None:
    if engine not in (*ops.ENGINES, "auto", "x86"):
        pytest.skip(f"{engine} is not on this machine")
    expected = ExpectedFile(file)
    try:
        with qconv.enabled(engine):
            params, run = LOADERS[file.kind](file, expected)
            y = run(expected.x)
    except NotImplementedError as error:
        if engine in TAKE_ALL:
            raise
        pytest.skip(str(error))
    packed_by = engine if params is None else qconv.describe(params).engine
    assert packed_by == engine or engine in ("auto", "x86")
    assert_right(y, expected, file, packed_by)
    assert torch.equal(run(expected.x).int_repr(), y.int_repr())  # it goes on when the mode is off


def assert_right(y: Tensor, expected: ExpectedFile, file: LegacyFile, engine: str) -> None:
    assert y.shape == expected.y.shape
    error = y.int_repr().int() - expected.y.int_repr().int()
    assert int(error.abs().max()) <= MAX_QUANTA
    assert_matches(y, reference_of(expected, file, engine))


@pytest.mark.parametrize(
    "file", [file for file in legacy_files() if error_of_pytorch(file)], ids=lambda file: file.name
)
def test_what_pytorch_no_longer_loads_is_read(file: LegacyFile) -> None:
    expected = ExpectedFile(file)
    for mode in (nullcontext(), qconv.enabled()):
        with mode, pytest.raises(RuntimeError, match=error_of_pytorch(file)):
            LOADERS[file.kind](file, expected)
    record, _ = read_one(file)
    y, params, op = expected.y, record.pack(), ops.op(file.op)
    output = op(expected.x, params, y.q_scale(), y.q_zero_point())
    assert_right(output, expected, file, params.engine())


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
