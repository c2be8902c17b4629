"""Packed objects travel to other processes, however those were started."""

from __future__ import annotations

import multiprocessing
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import ops
import pytest
import torch
import torch.multiprocessing
from conv_case import ConvCase
from packed_examples import EXAMPLES, facts

# A started process unpickles its work only after this import has registered the classes.
import torch_qconv_prepack as qconv  # noqa: F401

METHODS = ("fork", "spawn", "forkserver")
LIBRARIES = (multiprocessing, torch.multiprocessing)
every_context = pytest.mark.parametrize(
    "context",
    [library.get_context(method) for library in LIBRARIES for method in METHODS],
    ids=[f"{library.__name__}-{method}" for library in LIBRARIES for method in METHODS],
)
SECONDS = 120  # far more than a process takes to start on a busy machine

Packed = list[tuple[ConvCase, Any]]


def packed() -> Packed:
    return [(case, ops.pack(case.data())) for case in EXAMPLES]


def report(objects: Packed) -> list[tuple[dict[str, Any], list[Any]]]:
    """All that the objects tell of themselves, and their outputs."""
    # The tensors are made where they are used: PyTorch's quantized tensors don't travel.
    return [(facts(p), ops.run(case.data(), p).int_repr().tolist()) for case, p in objects]


def serve(given: Packed, requests: Any, answers: Any) -> None:
    """Report on what came at the start, then on what comes, and send that back as well."""
    # OpenMP's threads are not forked, and a pool of several would wait for them.
    torch.set_num_threads(1)
    answers.put(report(given))
    while (objects := requests.get()) is not None:
        answers.put(report(objects))
        answers.put(objects)


@every_context
def test_objects_reach_a_process_and_come_back(context: Any) -> None:
    objects = packed()
    expected = report(objects)
    requests, answers = context.Queue(), context.Queue()
    process = context.Process(target=serve, args=(objects, requests, answers), daemon=True)
    process.start()
    try:
        assert answers.get(timeout=SECONDS) == expected
        for _ in range(2):
            requests.put(objects)
            assert answers.get(timeout=SECONDS) == expected
            assert report(answers.get(timeout=SECONDS)) == expected
        requests.put(None)
        process.join(SECONDS)
        assert process.exitcode == 0
    finally:
        process.kill()


@pytest.mark.parametrize("method", METHODS)
def test_objects_travel_through_a_pool(method: str) -> None:
    objects = packed()
    context = torch.multiprocessing.get_context(method)
    with context.Pool(1, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        answers = pool.map_async(report, [[pair] for pair in objects]).get(SECONDS)
    assert answers == [report([pair]) for pair in objects]


WITHOUT_THE_PACKAGE = """
import pickle, sys, torch
folder = sys.argv[1]
for load in (
    lambda: pickle.load(open(f"{folder}/pickle", "rb")),
    lambda: torch.load(f"{folder}/save", weights_only=False),
    lambda: torch.jit.load(f"{folder}/script"),
):
    try:
        load()
    except RuntimeError as error:
        print(str(error).replace(chr(10), " "))
"""


class Holder(torch.nn.Module):
    def __init__(self, params: Any) -> None:
        super().__init__()
        self.params = params


def test_process_that_lacks_the_package_names_the_missing_class(tmp_path: Path) -> None:
    params = ops.pack(EXAMPLES[1].data())
    (tmp_path / "pickle").write_bytes(pickle.dumps(params))
    torch.save(params, tmp_path / "save")
    torch.jit.script(Holder(params)).save(str(tmp_path / "script"))
    command = [sys.executable, "-W", "ignore", "-c", WITHOUT_THE_PACKAGE, str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True)
    by_pickle, by_load, by_jit = result.stdout.splitlines()
    name = "__torch__.torch.classes.torch_qconv_prepack.Conv2dPackedParams"
    # The message is torch's; the name in it is enough to find the package.
    assert f"Tried to deserialize class {name} which is not known to the runtime" in by_pickle
    assert by_load == by_pickle
    assert f"Unknown type name '{name}'" in by_jit


WITH_PYTORCH_ALONE = """
import pickle, sys, torch
folder = sys.argv[1]
torch.set_num_threads(1)
torch.backends.quantized.engine = "fbgemm"
with open(f"{folder}/given", "rb") as file:
    params, data, scale, zero_point = pickle.load(file), *torch.load(file, weights_only=False)
y = torch.ops.quantized.conv2d(data, params, scale, zero_point)
assert "torch_qconv_prepack" not in sys.modules
torch.save(y.int_repr(), f"{folder}/y")
"""


def test_process_that_lacks_the_package_runs_what_was_saved_in_stocks_guise(tmp_path: Path) -> None:
    data = EXAMPLES[1].data()
    params = ops.pack(data)
    with open(tmp_path / "given", "wb") as file:
        pickle.dump(params.as_quantized(), file)
        torch.save((data.activation, data.output_scale, data.output_zero_point), file)
    command = [sys.executable, "-W", "ignore", "-c", WITH_PYTORCH_ALONE, str(tmp_path)]
    subprocess.run(command, timeout=SECONDS, check=True)
    assert torch.equal(torch.load(tmp_path / "y"), ops.run(data, params).int_repr())
