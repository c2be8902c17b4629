"""What `python -m torch_qconv_prepack info` tells: versions, CPU, threads, engines, settings."""

from __future__ import annotations

import dataclasses
import os
import platform
from typing import Any

import torch

from torch_qconv_prepack import _drop_in, _library
from torch_qconv_prepack._default_engine import VARIABLE, default_engine, default_engine_source
from torch_qconv_prepack._engine_info import engines

from .cpu import cpu_features, cpu_model

# Environment variables that change which code runs, or how fast.
ENVIRONMENT = (
    VARIABLE,
    _drop_in.VARIABLE,
    "TORCH_QCONV_ISA",
    "TORCH_QCONV_VERBOSE",
    "FBGEMM_ENABLE_INSTRUCTIONS",
    "ONEDNN_MAX_CPU_ISA",
    "OMP_NUM_THREADS",
)


def collect() -> dict[str, Any]:
    """Return all that the command tells, in values that JSON has.

    The keys, which docs/engines.md describes, stay what they are; new ones may come.
    """
    build = _library.load()
    return {
        "versions": {
            "torch_qconv_prepack": build.version,
            "torch": str(torch.__version__),
            "python": platform.python_version(),
        },
        "built_with": {
            "torch": build.torch_version,
            # None: built without oneDNN.
            "onednn": getattr(build, "onednn_version", None),
            "compiler": build.compiler,
            "cxx11_abi": build.cxx11_abi,
        },
        "machine": {
            "system": platform.platform(),
            "architecture": platform.machine(),
            "cpu": cpu_model(),
            "cpu_features": cpu_features(),
        },
        "threads": {
            "intra_op": torch.get_num_threads(),
            "inter_op": torch.get_num_interop_threads(),
            "usable_cores": _usable_cores(),
        },
        "engines": [dataclasses.asdict(record) for record in engines()],
        "default_engine": {"name": default_engine(), "source": default_engine_source()},
        "environment": {name: os.environ.get(name) for name in ENVIRONMENT},
    }


def _usable_cores() -> int | None:
    """Logical cores that this process may run on, which a container may limit."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count()
