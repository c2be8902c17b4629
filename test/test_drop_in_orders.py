"""Drop-in mode in odd orders: blocks in generators and threads, used again, left by an error, and
TorchScript's passes before and after it was turned on."""

from __future__ import annotations

import asyncio
import copy
import io
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ops
import pytest
import torch
from bad_input import assert_raises
from conv_case import ConvCase
from quantized_networks import FORMS, PYTORCH_WARNINGS, image, quantized_eagerly
from test_drop_in_switch import engine_that_packs, imported_with, off_before_and_after, packs_here

import torch_qconv_prepack as qconv

__all__ = ["off_before_and_after"]  # the fixture

pytestmark = PYTORCH_WARNINGS

DATA = ConvCase("plain").data()


def blocks() -> Iterator[None]:
    with qconv.enabled():
        yield


@pytest.mark.parametrize(
    "leave", [lambda generator: generator.close(), lambda generator: list(generator)]
)
def test_a_block_in_a_generator_is_open_until_the_generator_ends(
    leave: Callable[[Any], object],
) -> None:
    first, second = blocks(), blocks()
    next(first)
    next(second)
    for generator in (first, second):
        assert packs_here()
        leave(generator)
    assert not packs_here()


def test_a_generator_that_nobody_ends_is_left_when_it_is_collected() -> None:
    generator = blocks()
    next(generator)
    assert packs_here()
    del generator
    assert not packs_here()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_every_error_ends_a_block(error: type[BaseException]) -> None:
    with pytest.raises(error), qconv.enabled(), qconv.enabled("fbgemm"):
        raise error
    assert not packs_here()


def test_an_error_of_an_op_ends_a_block() -> None:
    with pytest.raises(ValueError, match="groups must be"), qconv.enabled():
        torch.ops.quantized.conv2d_prepack(DATA.weight, None, [1, 1], [0, 0], [1, 1], 0)
    assert not packs_here()


def test_one_block_is_used_again_and_inside_itself() -> None:
    block = qconv.enabled("fbgemm")
    for _ in range(2):
        with block:
            with block:
                assert engine_that_packs() == "fbgemm"
            assert packs_here()
        assert not packs_here()


def test_a_function_is_decorated() -> None:
    @qconv.enabled("qnnpack")
    def function(depth: int) -> str:
        return function(depth - 1) if depth else engine_that_packs()

    assert [function(depth) for depth in (0, 3)] == ["qnnpack"] * 2
    assert not packs_here()


def test_a_coroutine_function_is_decorated_and_a_generator_refused() -> None:
    @qconv.enabled("qnnpack")
    async def coroutine() -> str:
        await asyncio.sleep(0)
        return engine_that_packs()

    assert asyncio.run(coroutine()) == "qnnpack"
    assert not packs_here()
    start = "enabled('fbgemm'): can decorate functions but no generators, got "
    assert_raises(TypeError, start, lambda: qconv.enabled("fbgemm")(blocks))


def test_another_thread_leaves_a_block() -> None:
    block = qconv.enabled()
    block.__enter__()
    thread = threading.Thread(target=lambda: block.__exit__(None, None, None))
    thread.start()
    thread.join()
    assert not packs_here()


def test_tasks_overlap() -> None:
    async def task(engine: str, turns: int) -> None:
        with qconv.enabled(engine):
            for _ in range(turns):
                await asyncio.sleep(0)
                assert packs_here()

    async def both() -> None:
        await asyncio.gather(task("fbgemm", 2), task("qnnpack", 5), task("fbgemm", 1))

    asyncio.run(both())
    assert not packs_here()


def test_the_switch_takes_another_engine_inside_a_block() -> None:
    with qconv.enabled("fbgemm"):
        qconv.enable("qnnpack")
        assert engine_that_packs() == "qnnpack"
        qconv.disable()
        assert engine_that_packs() == "fbgemm"
        qconv.disable()
        assert packs_here()


def test_an_invalid_engine_in_the_environment_ends_the_import() -> None:
    result = imported_with(TORCH_QCONV_ENABLE="1", TORCH_QCONV_ENGINE="foo")
    assert result.returncode == 1
    last = result.stderr.splitlines()[-1]
    assert last.startswith("ValueError: torch_qconv_prepack: TORCH_QCONV_ENGINE must be one of ")
    assert last.endswith(", got 'foo'")


# TorchScript, made before the mode was on.

SCRIPTED = [form for form in FORMS if form not in ("module", "deepcopy")]
PASSES: dict[str, Callable[[Any], Any]] = {
    "deepcopy": copy.deepcopy,
    "freeze": torch.jit.freeze,
    "optimize": torch.jit.optimize_for_inference,
}


@pytest.fixture(scope="module")
def stock() -> Any:
    return quantized_eagerly()


@pytest.mark.parametrize("form", SCRIPTED)
def test_passes_over_what_was_made_before(form: str, stock: Any) -> None:
    made = FORMS[form](stock)
    before = made(image())
    with qconv.enabled():
        expected = copy.deepcopy(stock)(image())
        passed = {"deepcopy": copy.deepcopy(made)}
        if hasattr(made, "training"):  # not frozen yet
            passed |= {name: function(made) for name, function in PASSES.items()}
        for name, module in passed.items():
            assert torch.equal(module(image()), expected), name
    for module in passed.values():
        assert torch.equal(module(image()), expected)
    assert torch.equal(made(image()), before)


@pytest.mark.parametrize("place", ["cpu", torch.device("cpu"), None], ids=str)
def test_places_of_torch_jit_load(place: Any, stock: Any) -> None:
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(stock), buffer)
    with qconv.enabled("fbgemm"):
        buffer.seek(0)
        loaded = torch.jit.load(buffer, map_location=place)
        assert qconv.describe(loaded.up._packed_params).engine == "fbgemm"
        assert torch.equal(loaded(image()), copy.deepcopy(stock)(image()))
        buffer.seek(0)
        with pytest.raises(NotImplementedError, match="QuantizedMeta"):  # as without the mode
            torch.jit.load(buffer, map_location="meta")


FRESH = """
import sys, torch
torch.set_num_threads(1)
torch.backends.quantized.engine = "fbgemm"
assert "torch_qconv_prepack" not in sys.modules
x, scale, zero_point = torch.load("x.pth", weights_only=False)
y = torch.ops.quantized.conv2d(x, torch.load("guise.pth", weights_only=False), scale, zero_point)
print(torch.jit.load("module.pt").stride, y.int_repr().flatten()[:20].tolist())
try:
    torch.load("own.pth", weights_only=False)
except RuntimeError as error:
    print(str(error).splitlines()[0])
"""


def test_a_process_without_this_package_loads_what_was_saved(tmp_path: Path) -> None:
    with qconv.enabled():
        params = ops.op("conv2d_prepack", "quantized")(*ops.pack_arguments(DATA))
        torch.save(params, tmp_path / "guise.pth")
        module = torch.ao.nn.quantized.Conv2d(3, 4, 3, stride=2)
        torch.jit.save(torch.jit.script(module), tmp_path / "module.pt")
    torch.save(ops.pack(DATA), tmp_path / "own.pth")
    output = (DATA.output_scale, DATA.output_zero_point)
    torch.save((DATA.activation, *output), tmp_path / "x.pth")
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FRESH],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    loaded, refused = result.stdout.splitlines()
    expected = DATA.expected(engine="fbgemm").quantized.flatten()[:20].tolist()
    assert loaded == f"(2, 2) {expected}"
    assert refused == (
        "Tried to deserialize class __torch__.torch.classes.torch_qconv_prepack.Conv2dPackedParams "
        "which is not known to the runtime. If this is a custom C++ class, make sure the "
        "appropriate code is linked."
    )
