"""TORCH_QCONV_VERBOSE=1 tells of everything packed, and of the first run on each size."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
import torch
import torch_qconv_prepack

torch.set_num_threads(1)
ops = torch.ops.torch_qconv_prepack
def weight(*shape):
    return torch._make_per_tensor_quantized_tensor(torch.ones(shape, dtype=torch.int8), 0.1, 0)
def run(params, size):
    x = torch.zeros(1, 8, size, size, dtype=torch.uint8)
    ops.conv2d(torch._make_per_tensor_quantized_tensor(x, 0.1, 0), params, 1.0, 0)
dense = ops.conv2d_prepack(weight(4, 8, 3, 3), None, [1, 1], [1, 1], [1, 1], 1)
for size in (6, 6, 7):
    run(dense, size)
ops.conv2d_dynamic(torch.rand(1, 8, 6, 6), dense)
depthwise = ops.conv2d_prepack(weight(8, 1, 3, 3), None, [2, 2], [0, 0], [1, 1], 8)
run(depthwise, 9)
ops.conv_transpose2d_prepack(weight(8, 4, 2, 2), None, [2, 2], [0, 0], [0, 0], [1, 1], 1)
ops.conv2d_prepack(weight(4, 8, 1, 1), None, [1, 1], [0, 0], [1, 1], 1, engine="fbgemm")
"""


def lines(verbose: str | None) -> list[str]:
    """What the program prints on stderr."""
    variables = {name: value for name, value in os.environ.items() if "QCONV" not in name}
    if verbose is not None:
        variables["TORCH_QCONV_VERBOSE"] = verbose
    variables["TORCH_QCONV_ISA"] = "scalar"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM],
        env=variables,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stderr.splitlines()


def test_a_line_for_what_is_packed_and_for_first_runs() -> None:
    told = lines("1")
    starts = [
        "conv2d_prepack: 8->4, kernel [3, 3], stride [1, 1], padding [1, 1], dilation [1, 1], "
        "groups 1; engine native (asked for auto), kernel dense_scalar, ",
        "conv2d: input 1 x [6, 6]; kernel dense_scalar: blocks of 16 channels 1, taps 3 x 24 bytes "
        "(columns folded), window of 6 rows, ",
        "conv2d: input 1 x [7, 7]; kernel dense_scalar: ",
        "conv2d_prepack: 8->8, kernel [3, 3], stride [2, 2], padding [0, 0], dilation [1, 1], "
        "groups 8; engine native (asked for auto), kernel depthwise_scalar, ",
        "conv2d: input 1 x [9, 9]; kernel depthwise_scalar: 4 rows by 8 channels a part, ",
        "conv_transpose2d_prepack: 8->4, kernel [2, 2], stride [2, 2], padding [0, 0], dilation "
        "[1, 1], groups 1; engine native (asked for auto), kernel dense_scalar, ",
        "conv2d_prepack: 8->4, kernel [1, 1], stride [1, 1], padding [0, 0], dilation [1, 1], "
        "groups 1; engine fbgemm (asked for fbgemm), kernel ",
    ]
    assert len(told) == len(starts), told
    for line, start in zip(told, starts, strict=True):
        assert line.startswith(f"torch_qconv_prepack: {start}"), line


@pytest.mark.parametrize("value", [None, "", "0"])
def test_silent_without_it(value: str | None) -> None:
    assert lines(value) == []
