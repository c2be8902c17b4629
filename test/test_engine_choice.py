"""Which engine packs: the argument's, the context's, the saved state's, by default "auto"."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import io
import os
import pickle
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from bad_input import CONV2D, message
from saved_states import state_of

import torch_qconv_prepack as qconv

pytestmark = pytest.mark.skipif(
    bool(os.environ.get("TORCH_QCONV_ENGINE")), reason="tests need the package's own default"
)

NAMES = [record.name for record in qconv.engines() if record.available]
FIRST, SECOND, THIRD = "fbgemm", "x86", "auto"


def asked_for(params: Any) -> str:
    """The engine or policy that was to pack it: a policy isn't the engine that then did."""
    name: str = state_of(params)[1]
    return name


def packing() -> str:
    """The engine that both Python and the ops take for the default one."""
    name = asked_for(CONV2D.prepack())
    assert name == qconv.default_engine()
    return name


@pytest.fixture(autouse=True)
def _leaves_no_engine_behind() -> Iterator[None]:
    assert packing() == "auto"
    yield
    assert packing() == "auto"


def test_records_name_engines_then_policies() -> None:
    records = qconv.engines()
    kinds = [record.kind for record in records]
    assert kinds == sorted(kinds)
    assert len({record.name for record in records}) == len(records)
    assert {"fbgemm", "x86", "auto"} <= {record.name for record in records}
    for record in records:
        assert record.available == (record.reason is None)
        if record.kind == "policy":
            assert record.available
            assert record.version is record.instruction_set is None
            assert str(record) == f"{record.name}: policy, picks an engine for each convolution"
        elif record.available:
            assert record.version
            assert str(record).startswith(f"{record.name}: engine, {record.version}")
        else:
            assert str(record) == f"{record.name}: engine, not available: {record.reason}"


@pytest.mark.parametrize("name", NAMES)
def test_block_sets_the_engine_until_it_ends(name: str) -> None:
    with qconv.engine(name):
        assert packing() == name


def test_blocks_nest_and_an_object_serves_again_inside_itself() -> None:
    first, second = qconv.engine(FIRST), qconv.engine(SECOND)
    for _ in range(2):
        with first:
            with second:
                with first:
                    assert packing() == FIRST
                assert packing() == SECOND
            assert packing() == FIRST


def test_exception_ends_the_block() -> None:
    with pytest.raises(KeyError), qconv.engine(FIRST), qconv.engine(SECOND):
        raise KeyError
    assert packing() == "auto"


def test_unknown_name_is_refused_at_once_with_the_valid_ones() -> None:
    valid = message(ValueError, lambda: CONV2D.prepack(engine="foo")).partition(" must be ")[2]
    assert message(ValueError, lambda: qconv.engine("foo")) == f"engine: name must be {valid}"
    assert valid.startswith("one of auto, ")
    assert all(record.name in valid for record in qconv.engines())


@pytest.mark.parametrize("name", [None, 1, b"auto", ["auto"]])
def test_name_must_be_a_string(name: Any) -> None:
    expected = f"engine: name must be a string, got {name!r}"
    assert message(TypeError, lambda: qconv.engine(name)) == expected


def test_block_must_be_left_where_it_was_entered() -> None:
    outer, inner = qconv.engine(FIRST), qconv.engine(SECOND)
    with outer:
        with inner:
            wrong = message(RuntimeError, lambda: outer.__exit__(None, None, None))
            assert wrong.startswith("engine('fbgemm'): must be left in the context that entered it")
        assert packing() == FIRST
        context = contextvars.Context()
        leave = lambda: context.run(outer.__exit__, None, None, None)  # noqa: E731
        assert message(RuntimeError, leave) == wrong


def test_decorated_function_runs_in_a_block_at_each_call() -> None:
    @qconv.engine(FIRST)
    def countdown(n: int, *, seen: list[str]) -> list[str]:
        """Says what it is."""
        with qconv.engine(SECOND):
            seen = countdown(n - 1, seen=seen) if n else seen
        return [*seen, packing()]

    assert (countdown.__name__, countdown.__doc__) == ("countdown", "Says what it is.")
    for _ in range(2):
        assert countdown(2, seen=["start"]) == ["start", FIRST, FIRST, FIRST]
        assert packing() == "auto"


def test_decorated_coroutine_keeps_the_engine_across_awaits() -> None:
    @qconv.engine(FIRST)
    async def work() -> str:
        await asyncio.sleep(0)
        return packing()

    async def two() -> list[str]:
        other = asyncio.create_task(work())
        await asyncio.sleep(0)
        return [packing(), await work(), packing(), await other]

    assert asyncio.run(two()) == ["auto", FIRST, "auto", FIRST]


def test_generators_and_classes_cannot_be_decorated() -> None:
    def generator() -> Iterator[int]:
        yield 1

    for function in (generator, Iterator, 1):
        text = message(TypeError, lambda f=function: qconv.engine(FIRST)(f))
        assert text.startswith("engine('fbgemm'): can decorate functions but no generators, got ")


def test_threads_have_engines_of_their_own() -> None:
    shared = qconv.engine(FIRST)
    together = threading.Barrier(6)

    def work(i: int) -> tuple[str, str, str]:
        before = packing()
        with shared if i % 2 else qconv.engine(SECOND):
            together.wait(60)
            inside = packing()
            together.wait(60)
        return before, inside, packing()

    with qconv.engine(THIRD), ThreadPoolExecutor(6) as pool:
        results = list(pool.map(work, range(6)))
    assert results == [("auto", FIRST if i % 2 else SECOND, "auto") for i in range(6)]


def test_thread_that_runs_a_copied_context_has_its_engine() -> None:
    with ThreadPoolExecutor(1) as pool, qconv.engine(SECOND):
        context = contextvars.copy_context()
        assert pool.submit(context.run, packing).result() == SECOND
        assert pool.submit(packing).result() == "auto"


def test_tasks_inherit_the_engine_and_keep_changes_to_themselves() -> None:
    async def work(name: str) -> list[str]:
        seen = [packing()]
        with qconv.engine(name):
            await asyncio.sleep(0)
            seen.append(packing())
        await asyncio.sleep(0)
        return [*seen, packing()]

    async def both() -> list[list[str]]:
        with qconv.engine(SECOND):
            tasks = [asyncio.create_task(work(name)) for name in (FIRST, THIRD)]
            in_thread = await asyncio.to_thread(packing)
        assert packing() == "auto"
        return [*await asyncio.gather(*tasks), [in_thread]]

    expected = [[SECOND, FIRST, SECOND], [SECOND, THIRD, SECOND], [SECOND]]
    assert asyncio.run(both()) == expected


def reload(params: Any) -> Any:
    buffer = io.BytesIO()
    torch.save(params, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=False)


class Holder(torch.nn.Module):
    def __init__(self, params: Any) -> None:
        super().__init__()
        self.params = params


def reload_script(params: Any) -> Any:
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(Holder(params)), buffer)
    buffer.seek(0)
    return torch.jit.load(buffer).params


RELOADS = (
    reload,
    reload_script,
    copy.deepcopy,
    lambda params: pickle.loads(pickle.dumps(params)),
    lambda params: qconv.from_state(state_of(params)),
)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.parametrize("load", RELOADS)
def test_context_goes_before_what_a_saved_object_names(load: Callable[[Any], Any]) -> None:
    params = CONV2D.prepack(engine=FIRST)
    assert asked_for(load(params)) == FIRST
    for name in (SECOND, "auto"):
        with qconv.engine(name):
            assert asked_for(load(params)) == name


def test_argument_goes_before_the_context() -> None:
    state = state_of(CONV2D.prepack(engine=FIRST))
    with qconv.engine(FIRST):
        for name in (SECOND, "auto"):
            assert asked_for(CONV2D.prepack(engine=name)) == name
            assert asked_for(qconv.from_state(state, engine=name)) == name


def test_pytorchs_objects_are_packed_by_the_context_s_engine() -> None:
    params = CONV2D.prepack()
    stock = copy.deepcopy(params.as_quantized())
    with qconv.engine(SECOND):
        assert asked_for(qconv.from_quantized(stock)) == SECOND
        assert asked_for(qconv.from_quantized(stock, engine=FIRST)) == FIRST
        # What this package has packed stays as it is.
        assert asked_for(qconv.from_quantized(params.as_quantized())) == "auto"
    assert asked_for(qconv.from_quantized(stock)) == "auto"


@pytest.mark.parametrize("record", [r for r in qconv.engines() if not r.available], ids=str)
def test_engine_that_is_not_available_is_refused_by_what_packs(record: qconv.EngineInfo) -> None:
    with qconv.engine(record.name):
        assert qconv.default_engine() == record.name
        assert record.reason in message(NotImplementedError, CONV2D.prepack)
