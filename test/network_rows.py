"""Rows of the feature matrix for shapes that libraries run with kernels of their own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from features import Row
from op_rows import plain, row

DEPTHWISE: dict[str, Any] = {"in_channels": 16, "out_channels": 16, "groups": 16}
UP: dict[str, Any] = {"transposed": True, "in_channels": 32, "out_channels": 16}
# The same numbers in each dimension.
SHAPES: dict[str, dict[str, Any]] = {
    "depthwise, kernel 3 (MobileNet)": {**DEPTHWISE, "padding": (1,)},
    "depthwise, kernel 5 (EfficientNet)": {**DEPTHWISE, "kernel": (5,), "padding": (2,)},
    "9 groups of 2 channels, kernel 3": {
        "in_channels": 18, "out_channels": 18, "groups": 9, "padding": (1,)
    },
    "transposed, kernel 2, stride 2 (U-Net)": {**UP, "kernel": (2,), "stride": (2,)},
    "transposed, kernel 4, stride 2 (DCGAN)": {
        **UP, "kernel": (4,), "stride": (2,), "padding": (1,)
    },
}  # fmt: skip
PLAIN: dict[str, Any] = {
    "input_size": (6,), "kernel": (3,), "stride": (1,), "padding": (0,), "batch": 1,
}  # fmt: skip


def network_rows() -> Iterator[Row]:
    for name, shape in SHAPES.items():
        settings = {**PLAIN, **shape}
        yield row(name, plain, settings.pop("transposed", False), **settings)
