"""What the figures were measured on and with: machine, versions, settings, bandwidths."""

from __future__ import annotations

import importlib.metadata
import os
import time
from typing import Any

import torch
from timing import Spread, time_calls

from torch_qconv_prepack import info

PEERS = ("openvino", "onnxruntime")
COPY_BYTES = {"l2": 1 << 18, "memory": 1 << 28}


def facts() -> dict[str, Any]:
    """What `python -m torch_qconv_prepack info --json` tells, and what matters to figures alone."""
    found = info.collect()
    for peer in PEERS:
        try:
            found["versions"][peer] = importlib.metadata.version(peer)
        except importlib.metadata.PackageNotFoundError:
            found["versions"][peer] = None
    affinity = getattr(os, "sched_getaffinity", None)
    found["machine"]["pinned_to"] = sorted(affinity(0)) if affinity else None
    found["machine"]["load"] = round(os.getloadavg()[0], 2)
    found["environment"]["TORCH_QCONV_ISA"] = os.environ.get("TORCH_QCONV_ISA")
    found["date"] = time.strftime("%Y-%m-%d")
    return found


def bandwidths() -> dict[str, float]:
    """GB/s of copying 1/4 MB, which stays in the second-level cache, and 1/4 GB; bytes read and
    written both count."""
    results = {}
    for level, size in COPY_BYTES.items():
        source, target = torch.ones(size // 2, dtype=torch.uint8), torch.ones(size // 2).byte()
        repetitions = max(1, (1 << 27) // size)
        times = [time_calls(target.copy_, (source,), repetitions) for _ in range(7)]
        results[level] = round(size / Spread.of(times).median / 1000, 1)
    return results
