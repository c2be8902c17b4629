"""The default engine of a process: environment, TorchScript's threads, forks, the end."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

SECONDS = 120  # far more than any of these programs takes: one that hangs is a deadlock

PROLOGUE = """
import atexit, os, sys, threading, time
import torch
torch.set_num_threads(1)
SEEN_AT_EXIT = []
atexit.register(lambda: [print(see()) for see in SEEN_AT_EXIT])  # runs after the package's own
import torch_qconv_prepack as qconv
from torch_qconv_prepack import _default_engine

weight = torch._make_per_tensor_quantized_tensor(torch.ones(8, 4, 3, 3, dtype=torch.int8), 0.1, 0)

def pack(weight: torch.Tensor):
    return torch.ops.torch_qconv_prepack.conv2d_prepack(weight, None, [1, 1], [0, 0], [1, 1], 1)

def asked_for(params):
    return params.__getstate__()[0][1]

def packing():
    return asked_for(pack(weight))
"""

# TorchScript's threads are none of Python's.
FORKS = """
@torch.jit.script
def pack_in_forks(weight: torch.Tensor):
    first, second = torch.jit.fork(pack, weight), torch.jit.fork(pack, weight)
    return torch.jit.wait(first), torch.jit.wait(second)
"""


def run(program: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the program after PROLOGUE, with these environment variables."""
    environment = {name: value for name, value in os.environ.items() if "QCONV_ENGINE" not in name}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "program.py"  # TorchScript reads the source of what it compiles
        file.write_text(PROLOGUE + program)
        return subprocess.run(
            [sys.executable, "-W", "ignore", str(file)],
            env=environment | variables,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )


def output(program: str, **variables: str) -> list[str]:
    """The words that the program prints; it must succeed and print no error."""
    result = run(program, **variables)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout.split()


REPORT = """
print(packing(), qconv.default_engine(), _default_engine.default_engine_source())
with qconv.engine("fbgemm"):
    print(packing(), qconv.default_engine(), _default_engine.default_engine_source())
params = torch.ops.torch_qconv_prepack.conv2d_prepack(
    weight, None, [1, 1], [0, 0], [1, 1], 1, engine="fbgemm")
print(asked_for(params), asked_for(qconv.from_state(params.__getstate__()[0])))
"""


@pytest.mark.parametrize("name", ["x86", "auto"])
def test_variable_sets_the_engine_of_the_process(name: str) -> None:
    in_block = ["fbgemm", "fbgemm", "context"]
    expected = [name, name, "TORCH_QCONV_ENGINE", *in_block, "fbgemm", name]
    assert output(REPORT, TORCH_QCONV_ENGINE=name) == expected


@pytest.mark.parametrize("variables", [{}, {"TORCH_QCONV_ENGINE": ""}], ids=["unset", "empty"])
def test_without_the_variable_it_is_auto_but_for_saved_objects(variables: dict[str, str]) -> None:
    in_block = ["fbgemm", "fbgemm", "context"]
    expected = ["auto", "auto", "package", *in_block, "fbgemm", "fbgemm"]
    assert output(REPORT, **variables) == expected


def test_variable_with_an_unknown_name_ends_the_import_with_the_valid_ones() -> None:
    result = run("", TORCH_QCONV_ENGINE="foo")
    assert result.returncode == 1
    last_line = result.stderr.splitlines()[-1]
    start = "ValueError: torch_qconv_prepack: TORCH_QCONV_ENGINE must be one of auto, "
    assert last_line.startswith(start)
    assert "fbgemm" in last_line
    assert last_line.endswith(", got 'foo'")


def test_torchscripts_threads_have_the_engine_of_the_process() -> None:
    program = """
with qconv.engine("fbgemm"):
    print(*map(asked_for, pack_in_forks(weight)))
"""
    assert output(FORKS + program) == ["auto"] * 2
    assert output(FORKS + program, TORCH_QCONV_ENGINE="x86") == ["x86"] * 2


def test_packing_in_threads_of_every_kind_at_once_ends() -> None:
    program = """
def work():
    with qconv.engine("x86"):
        for _ in range(100):
            assert list(map(asked_for, pack_in_forks(weight))) == ["auto"] * 2
            assert packing() == "x86"
            sum(range(1000))  # holds the interpreter's lock for a while

sys.setswitchinterval(1e-6)
threads = [threading.Thread(target=work) for _ in range(6)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print("ended")
"""
    assert output(FORKS + program) == ["ended"]


def test_callback_goes_and_comes_while_threads_are_in_it() -> None:
    program = """
stop = threading.Event()

def work():
    while not stop.is_set():
        pack_in_forks(weight)

threads = [threading.Thread(target=work) for _ in range(4)]
[thread.start() for thread in threads]
with qconv.engine("x86"):
    for _ in range(200):
        _default_engine._remove_callback(None)
        assert packing() == "auto"
        _default_engine._set_callback(_default_engine._callback)
        assert packing() == "x86"
stop.set()
[thread.join() for thread in threads]
print("ended")
"""
    assert output(FORKS + program) == ["ended"]


def test_nothing_asks_python_once_it_shuts_down() -> None:
    program = """
qconv.engine("fbgemm").__enter__()
print(packing())
SEEN_AT_EXIT.append(packing)
"""
    assert output(program) == ["fbgemm", "auto"]


def test_forked_child_keeps_the_engine_and_ends() -> None:
    # The threads are forked away while they are in the callback. TorchScript's threads would add
    # deadlocks that forking has without this package: theirs take a lock of CPython's.
    program = """
stop = threading.Event()

def work():
    while not stop.is_set():
        packing()

threads = [threading.Thread(target=work) for _ in range(4)]
[thread.start() for thread in threads]
with qconv.engine("x86"):
    for _ in range(20):
        child = os.fork()
        if child == 0:
            with qconv.engine("fbgemm"):
                assert packing() == "fbgemm"
            assert packing() == "x86"
            atexit._run_exitfuncs()
            os._exit(7)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 7, status
stop.set()
[thread.join() for thread in threads]
print("ended")
"""
    assert output(program) == ["ended"]
