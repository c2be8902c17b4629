"""describe() tells what a packed convolution is, in a form that reads well."""

from __future__ import annotations

import ops
from bad_input import message
from conv_case import ConvCase
from expecttest import assert_expected_inline
from packed_examples import EXAMPLES, every_example

import torch_qconv_prepack as qconv


def printed(case: ConvCase) -> str:
    params = ops.pack(case.data(), "fbgemm")
    # How much an engine pads depends on the machine.
    text = str(qconv.describe(params))
    assert text.endswith(f", {params.nbytes():,} bytes")
    return text.replace(f"{params.nbytes():,}", "N")


def test_describe_of_every_kind_reads_well() -> None:
    assert_expected_inline(
        "\n".join(map(printed, EXAMPLES)),
        """\
conv1d(8 -> 8, kernel 3, stride 2, padding 1, groups 2)
  weight: int8, per_channel, symmetric; bias
  packed: fbgemm (im2col), N bytes
conv2d(8 -> 8, kernel 3x3, stride 2x1, padding 1x0, dilation 1x2, groups 2)
  weight: int8, per_channel, symmetric; bias
  packed: fbgemm (im2col), N bytes
conv3d(8 -> 8, kernel 3x3x3, stride 1x2x1, padding 1x0x1)
  weight: int8, per_tensor, with zero points; bias
  packed: fbgemm (im2col), N bytes
conv_transpose1d(8 -> 8, kernel 3, stride 2, output_padding 1)
  weight: int8, per_channel, symmetric; bias
  packed: fbgemm (im2col), N bytes
conv_transpose2d(6 -> 10, kernel 3x3, stride 2x1, output_padding 1x0, groups 2)
  weight: int8, per_tensor, with zero points; bias
  packed: fbgemm (im2col), N bytes
conv_transpose3d(8 -> 8, kernel 3x3x3, padding 1x0x1)
  weight: int8, per_tensor, symmetric; no bias
  packed: fbgemm (im2col), N bytes""",
    )


def test_describe_of_special_kernels_reads_well() -> None:
    depthwise = ConvCase("c", in_channels=16, out_channels=16, groups=16, padding=(1,))
    cases = (
        depthwise,
        depthwise.but(full_range=True),
        ConvCase("c", kernel=(1,), per_channel=True, weight_zero_points=True, bias=False),
    )
    assert_expected_inline(
        "\n".join(map(printed, cases)),
        """\
conv2d(16 -> 16, kernel 3x3, padding 1x1, groups 16)
  weight: int8, per_tensor, symmetric; bias
  packed: fbgemm (depthwise), N bytes
conv2d(16 -> 16, kernel 3x3, padding 1x1, groups 16)
  weight: int8, per_tensor, symmetric; bias
  packed: fbgemm (exact), N bytes
conv2d(8 -> 8, kernel 1x1)
  weight: int8, per_channel, with zero points; no bias
  packed: fbgemm (pointwise), N bytes""",
    )


@every_example
def test_describe_holds_what_the_methods_tell(case: ConvCase) -> None:
    params = ops.pack(case.data(), "fbgemm")
    summary = qconv.describe(params)
    assert summary.kind == case.name
    assert (summary.in_channels, summary.out_channels) == (case.in_channels, case.out_channels)
    for name in ("stride", "padding", "output_padding", "dilation", "groups"):
        assert getattr(summary, name) == getattr(case, name), name
    assert summary.kernel_size == case.kernel
    assert summary.weight_scheme == ("per_channel" if case.per_channel else "per_tensor")
    assert summary.symmetric != case.weight_zero_points
    assert summary.bias == case.bias
    assert summary.engine == params.engine()
    assert summary.kernel == params.kernel_name()
    assert summary.nbytes == params.nbytes()


def test_describe_refuses_other_things() -> None:
    data = EXAMPLES[1].data()
    for value, name in (
        (None, "NoneType"),
        (data.weight, "Tensor"),
        (ops.stock_pack(data, "fbgemm"), "quantized.Conv2dPackedParamsBase"),
    ):
        assert message(TypeError, lambda v=value: qconv.describe(v)) == (
            f"describe: params must be packed by this package, got {name}; "
            "from_quantized() packs PyTorch's own objects anew"
        )


@every_example
def test_describe_takes_objects_that_wear_pytorchs_type(case: ConvCase) -> None:
    params = ops.pack(case.data())
    assert qconv.describe(params.as_quantized()) == qconv.describe(params)
