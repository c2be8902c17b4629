"""The full text of typical errors of the prepack ops: what was expected, what came, the remedy.

EXPECTTEST_ACCEPT=1 in the environment writes a changed text into this file.
"""

from __future__ import annotations

import math

import torch
from bad_input import CONV1D, CONV2D, CONV3D, CONV_TRANSPOSE2D, assert_text, per_channel, qint8


def test_list_of_the_wrong_length() -> None:
    assert_text(
        ValueError,
        lambda: CONV2D.prepack(stride=[1, 1, 1]),
        """\
conv2d_prepack: stride must have 2 elements, got 3 ([1, 1, 1])
""",
    )


def test_negative_padding() -> None:
    assert_text(
        ValueError,
        lambda: CONV1D.prepack(padding=[-1]),
        """\
conv1d_prepack: padding must be non-negative and below 2^31, got [-1]
""",
    )


def test_zero_dilation() -> None:
    assert_text(
        ValueError,
        lambda: CONV3D.prepack(dilation=[1, 0, 1]),
        """\
conv3d_prepack: dilation must be positive and below 2^31, got [1, 0, 1]
""",
    )


def test_groups_that_do_not_divide_the_channels() -> None:
    assert_text(
        ValueError,
        lambda: CONV2D.prepack(groups=3),
        """\
conv2d_prepack: groups must divide weight.size(0), which is out_channels, got groups 3 and
weight of size [8, 4, 3, 3]
""",
    )


def test_large_output_padding() -> None:
    assert_text(
        ValueError,
        lambda: CONV_TRANSPOSE2D.prepack(output_padding=[1, 0]),
        """\
conv_transpose2d_prepack: output_padding must be smaller than stride or dilation, got [1,
0] with stride [1, 1] and dilation [1, 1]
""",
    )


def test_weight_of_the_wrong_rank() -> None:
    assert_text(
        ValueError,
        lambda: CONV2D.prepack(weight=qint8((8, 4, 3))),
        """\
conv2d_prepack: weight must have 4 dimensions [out_channels, in_channels/groups,
kernel...], got 3 ([8, 4, 3])
""",
    )


def test_weight_of_the_wrong_rank_transposed() -> None:
    assert_text(
        ValueError,
        lambda: CONV_TRANSPOSE2D.prepack(weight=qint8((8, 4, 3, 3, 3))),
        """\
conv_transpose2d_prepack: weight must have 4 dimensions [in_channels, out_channels/groups,
kernel...], got 5 ([8, 4, 3, 3, 3])
""",
    )


def test_empty_weight() -> None:
    assert_text(
        ValueError,
        lambda: CONV2D.prepack(weight=qint8((8, 4, 0, 3))),
        """\
conv2d_prepack: weight must have no empty dimension, got [8, 4, 0, 3]
""",
    )


def test_float_weight() -> None:
    assert_text(
        TypeError,
        lambda: CONV2D.prepack(weight=torch.ones(8, 4, 3, 3)),
        """\
conv2d_prepack: weight must have dtype torch.qint8, got torch.float32; quantize a float
weight with torch.quantize_per_channel or torch.quantize_per_tensor
""",
    )


def test_weight_quantized_along_the_wrong_axis() -> None:
    assert_text(
        ValueError,
        lambda: CONV_TRANSPOSE2D.prepack(weight=per_channel((8, 8, 3, 3), axis=0)),
        """\
conv_transpose2d_prepack: weight must be quantized along axis 1 (out_channels of a
transposed convolution), got axis 0
""",
    )


def test_double_bias() -> None:
    assert_text(
        TypeError,
        lambda: CONV2D.prepack(bias=torch.ones(8, dtype=torch.float64)),
        """\
conv2d_prepack: bias must have dtype torch.float32, got torch.float64; convert it with
.float()
""",
    )


def test_bias_of_the_wrong_length() -> None:
    assert_text(
        ValueError,
        lambda: CONV2D.prepack(bias=torch.ones(7)),
        """\
conv2d_prepack: bias must have one dimension with out_channels = 8 elements, got size [7]
""",
    )


def test_bias_that_is_not_a_number() -> None:
    bias = torch.tensor([0.0, math.nan, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    assert_text(
        ValueError,
        lambda: CONV2D.prepack(bias=bias),
        """\
conv2d_prepack: bias must be finite, got nan for channel 1
""",
    )


def test_convolution_that_no_engine_runs() -> None:
    assert_text(
        NotImplementedError,
        lambda: CONV2D.prepack(stride=[1, 2**30], engine="fbgemm"),
        """\
conv2d_prepack: engine fbgemm can't run this conv2d (fbgemm: FBGEMM needs kernel extents,
strides and padding below 2^30); engines that can: none
""",
    )
