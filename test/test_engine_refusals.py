"""What each engine refuses and says, and so what the policy `auto` picks."""

from __future__ import annotations

import pytest
from bad_input import message
from cases import feature_cases
from conv_case import ConvCase
from ops import ENGINES, SYMMETRIC_ONLY, kind, pack

engines = pytest.mark.parametrize("engine", ENGINES)
FEATURES = tuple(feature_cases())


def refusal(case: ConvCase, engine: str) -> str | None:
    """The engine's reason, where it refuses the convolution."""
    if case.weight_zero_points and engine in SYMMETRIC_ONLY:
        return "oneDNN needs weights whose zero points are all 0"
    return None


@engines
def test_an_engine_runs_all_but_what_the_tests_leave_out(engine: str) -> None:
    for case in FEATURES:
        if refusal(case, engine) is None:
            assert pack(case.data(), engine).engine() == engine, case


@engines
def test_a_refusal_has_the_reason_and_the_engines_that_can(engine: str) -> None:
    for case in FEATURES:
        reason, name = refusal(case, engine), kind(case.dims, case.transposed)
        if reason is not None:
            able = ", ".join(other for other in ENGINES if refusal(case, other) is None)
            text = message(NotImplementedError, lambda c=case: pack(c.data(), engine))
            assert text == (
                f"{name}_prepack: engine {engine} can't run this {name} ({engine}: {reason}); "
                f"engines that can: {able}"
            )


@pytest.mark.skipif("native" not in ENGINES, reason="the native engine isn't available")
def test_auto_is_the_native_engine() -> None:
    for case in FEATURES:
        data = case.data()
        assert refusal(case, "native") is None
        assert pack(data, "auto").engine() == "native", case
        assert pack(data).engine() == "native", case
