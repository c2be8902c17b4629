"""The full text of typical errors of the run ops: what was expected, what came, the remedy.

EXPECTTEST_ACCEPT=1 in the environment writes a changed text into this file.
"""

from __future__ import annotations

import math

import torch
from bad_input import CONV2D, CONV_TRANSPOSE2D, assert_text, quint8
from ops import op


def test_params_of_another_kind() -> None:
    assert_text(
        ValueError,
        lambda: CONV2D.call("", CONV_TRANSPOSE2D.prepack()),
        """\
conv2d: packed params must come from the prepack op of the same kind, got params of
conv_transpose2d
""",
    )


def test_input_of_the_wrong_rank() -> None:
    assert_text(
        ValueError,
        lambda: CONV2D.call("_relu", CONV2D.prepack(), quint8((4, 6, 6))),
        """\
conv2d_relu: input must have 4 dimensions [batch, channels, spatial...], got 3 (size [4,
6, 6])
""",
    )


def test_input_with_the_wrong_channels() -> None:
    assert_text(
        ValueError,
        lambda: CONV2D.call("", CONV2D.prepack(), quint8((1, 3, 6, 6))),
        """\
conv2d: input must have 4 channels, got 3 (size [1, 3, 6, 6])
""",
    )


def test_float_input() -> None:
    assert_text(
        TypeError,
        lambda: CONV2D.call("", CONV2D.prepack(), torch.ones(1, 4, 6, 6)),
        """\
conv2d: input must have dtype torch.quint8 or torch.qint8, got torch.float32; quantize a
float tensor with torch.quantize_per_tensor
""",
    )


def test_input_smaller_than_the_kernel() -> None:
    assert_text(
        ValueError,
        lambda: CONV2D.call("", CONV2D.prepack(), quint8((1, 4, 2, 6))),
        """\
conv2d: input of size [2, 6] with padding [0, 0] must not be smaller than the kernel of
size [3, 3] with dilation [1, 1]
""",
    )


def test_output_zero_point_out_of_range() -> None:
    x, params = quint8((1, 4, 6, 6)), CONV2D.prepack()
    assert_text(
        ValueError,
        lambda: op("conv2d")(x, params, 0.1, 300),
        """\
conv2d: output_zero_point must be in [0, 255], got 300
""",
    )


def test_arguments_other_than_the_packed_ones() -> None:
    x, params = quint8((1, 4, 6, 6)), CONV2D.prepack()
    assert_text(
        ValueError,
        lambda: op("conv2d")(x, params, [2, 2], [0, 0], [1, 1], 1, 0.1, 0),
        """\
conv2d: arguments must equal the packed ones, stride [1, 1], padding [0, 0], dilation [1,
1], groups 1; leave them out
""",
    )


def test_infinite_input_of_a_dynamic_op() -> None:
    x = torch.zeros(1, 4, 6, 6)
    x[0, 0, 0, 0] = math.inf
    assert_text(
        ValueError,
        lambda: CONV2D.call("_dynamic", CONV2D.prepack(), x),
        """\
conv2d_dynamic: input must be finite, got values from 0 to inf
""",
    )
