"""The native engine gives the same bytes on every instruction set; TORCH_QCONV_ISA chooses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from bad_input import CONV2D, message
from native_instruction_sets import AVAILABLE, NAMES, UNAVAILABLE, VARIABLE, held_to, native_record

import torch_qconv_prepack as qconv
from torch_qconv_prepack.info import cpu

HERE = Path(__file__).parent
WRONG = (*UNAVAILABLE, "AVX2", "avx512", "avx2 ", "auto")

Digests = dict[str, list[str]]


def output(name: str | None, *arguments: str) -> str:
    """What Python prints, held to the instruction set; it must succeed."""
    environment = {key: value for key, value in os.environ.items() if key != VARIABLE}
    result = subprocess.run(
        [sys.executable, "-W", "ignore", *arguments],
        env=environment | ({} if name is None else {VARIABLE: name}),
        cwd=HERE,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, (result.stdout + result.stderr)[-3000:]
    return result.stdout


def complaint(name: str) -> str:
    return f"{VARIABLE} must be one of {', '.join(AVAILABLE)} on this machine, got '{name}'"


@pytest.fixture(scope="module")
def digests() -> dict[str, Digests]:
    return {name: json.loads(output(name, "native_digests.py")) for name in AVAILABLE}


def test_sets_are_those_that_this_cpu_has() -> None:
    features = cpu.cpu_features()
    of_this_cpu = {"scalar", *(name for name in NAMES if features.get(name))}
    assert [name for name in NAMES if name in AVAILABLE] == list(AVAILABLE)
    # The operating system may refuse AMX its registers.
    assert of_this_cpu - {"amx_int8"} <= set(AVAILABLE) <= of_this_cpu


@pytest.mark.xdist_group("native_digests")
@pytest.mark.parametrize("name", AVAILABLE)
def test_the_forced_one_runs(digests: dict[str, Digests], name: str) -> None:
    kernels = {kernel for kernel, _ in digests[name].values()}
    # AMX machines run what is no use to tiles with the vectors that they have beside them.
    vectors = "avx512_vnni" if name == "amx_int8" else name
    assert kernels == {f"dense_{name}", f"depthwise_{vectors}", f"grouped_{vectors}"}


@pytest.mark.xdist_group("native_digests")
@pytest.mark.parametrize("name", AVAILABLE[1:])
def test_all_give_the_same_bytes(digests: dict[str, Digests], name: str) -> None:
    expected, found = digests["scalar"], digests[name]
    assert expected.keys() == found.keys()
    assert len(expected) > 400
    assert [case for case in expected if expected[case][1] != found[case][1]] == []


@pytest.mark.parametrize("name", AVAILABLE)
def test_results_equal_the_reference(name: str) -> None:
    options = ("-q", "-n", "0", "-p", "no:cacheprovider", "-k", "native")
    output(name, "-m", "pytest", *options, "test_convolution.py", "test_add.py")


@pytest.mark.parametrize("name", AVAILABLE)
def test_info_tells_what_is_used(name: str) -> None:
    facts = json.loads(output(name, "-m", "torch_qconv_prepack", "info", "--json"))
    assert facts["environment"][VARIABLE] == name
    (record,) = (engine for engine in facts["engines"] if engine["name"] == "native")
    assert (record["available"], record["instruction_set"]) == (True, name)
    assert f"uses {name}\n" in output(name, "-m", "torch_qconv_prepack", "info")


@pytest.mark.parametrize("name", [None, ""], ids=["unset", "empty"])
def test_the_most_capable_one_is_used_without_the_variable(name: str | None) -> None:
    facts = json.loads(output(name, "-m", "torch_qconv_prepack", "info", "--json"))
    (record,) = (engine for engine in facts["engines"] if engine["name"] == "native")
    assert record["instruction_set"] == AVAILABLE[-1]


def test_the_variable_is_followed_from_the_next_call_on() -> None:
    params = CONV2D.prepack(engine="native")
    for name in AVAILABLE:
        with held_to(name):
            assert params.kernel_name() == f"dense_{name}"
            assert qconv.describe(params).kernel == f"dense_{name}"


@pytest.mark.parametrize("name", WRONG)
def test_info_tells_what_is_wrong(name: str) -> None:
    with held_to(name):
        record = native_record()
    assert not record.available
    assert record.reason == complaint(name)
    assert record.instruction_set is None
    text = output(name, "-m", "torch_qconv_prepack", "info")
    assert f"not available: {complaint(name)}\n" in text


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("engine", [None, "auto", "native"])
def test_packing_refuses_a_wrong_name(name: str, engine: str | None) -> None:
    with held_to(name):
        text = message(ValueError, lambda: CONV2D.prepack(engine=engine))
        assert text == f"conv2d_prepack: {complaint(name)}"
        # What doesn't read the variable.
        assert CONV2D.prepack(engine="fbgemm").engine() == "fbgemm"
        assert CONV2D.prepack(engine="x86").engine() != "native"


# The suffix of a run op, and whom its errors name.
RUNS = {"": "conv2d", "_relu": "conv2d_relu", "_dynamic": "engine native", "_add": "conv2d_add"}


@pytest.mark.parametrize(("suffix", "names"), RUNS.items())
def test_runs_refuse_a_wrong_name(suffix: str, names: str) -> None:
    params = CONV2D.prepack(engine="native")
    for name in WRONG:
        with held_to(name):
            text = message(ValueError, lambda: CONV2D.call(suffix, params))
        assert text == f"{names}: {complaint(name)}"
    CONV2D.call(suffix, params)
