"""The instruction sets that the native engine has kernels for, and those that run here."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch_qconv_prepack as qconv

VARIABLE = "TORCH_QCONV_ISA"

# Least capable first.
NAMES = ("scalar", "avx2", "avx_vnni", "avx512_vnni", "amx_int8")


@contextmanager
def held_to(name: str) -> Iterator[None]:
    """The engine reads the variable at every call."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = name
    try:
        yield
    finally:
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before


def native_record() -> qconv.EngineInfo:
    (record,) = (record for record in qconv.engines() if record.name == "native")
    return record


def _available() -> tuple[str, ...]:
    """Those that the message about a wrong name lists."""
    with held_to("wrong"):
        reason = str(native_record().reason)
    found = re.fullmatch(rf"{VARIABLE} must be one of (.*) on this machine, got 'wrong'", reason)
    if found is None:
        raise AssertionError(f"unexpected reason: {reason}")
    return tuple(found.group(1).split(", "))


AVAILABLE = _available()
UNAVAILABLE = tuple(name for name in NAMES if name not in AVAILABLE)
