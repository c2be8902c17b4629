"""A packed object of this package, typed as PyTorch's, works wherever PyTorch's own does."""

from __future__ import annotations

import ops
import pytest
import torch
from comparison import assert_matches
from conv_case import ConvCase
from dynamic_reference import dynamic_conv
from packed_examples import EXAMPLES, every_example, kind_of
from reference import FLOAT32_ROUNDING

FORWARD = tuple(case for case in EXAMPLES if not case.transposed)


def stored_dims(case: ConvCase) -> int:
    return max(case.dims, 2)


@every_example
def test_type_is_pytorchs(case: ConvCase) -> None:
    params = ops.pack(case.data())
    dims = stored_dims(case)
    prefix = "__torch__.torch.classes"
    own = f"{prefix}.torch_qconv_prepack.Conv{dims}dPackedParams"
    assert params._type().qualified_name() == own
    guise = params.as_quantized()
    assert guise._type().qualified_name() == f"{prefix}.quantized.Conv{dims}dPackedParamsBase"


@every_example
def test_pytorchs_run_op_gives_the_exact_result(case: ConvCase) -> None:
    data = case.data()
    y = ops.stock_run(data, ops.pack(data).as_quantized())
    assert_matches(y, data.expected())
    assert (y.q_scale(), y.q_zero_point()) == (data.output_scale, data.output_zero_point)


@pytest.mark.parametrize("case", FORWARD, ids=str)  # PyTorch has no transposed relu op.
def test_pytorchs_relu_op_gives_the_exact_result(case: ConvCase) -> None:
    data = case.data()
    guise = ops.pack(data).as_quantized()
    assert_matches(ops.stock_run(data, guise, "_relu"), data.expected(relu=True))
    # The other op on the same object afterwards; PyTorch's onednn engine would apply relu again.
    assert_matches(ops.stock_run(data, guise), data.expected())


@pytest.mark.parametrize("case", [c for c in FORWARD if c.dims > 1], ids=str)
def test_pytorchs_older_overload_runs_it(case: ConvCase) -> None:
    data = case.data()
    guise = ops.pack(data).as_quantized()
    arguments = [case.stride, case.padding, case.dilation, case.groups]
    op = ops.op(kind_of(data), "quantized")
    y = op(data.activation, guise, *arguments, data.output_scale, data.output_zero_point)
    assert_matches(y, data.expected())


@every_example
def test_pytorchs_dynamic_op_is_not_clamped(case: ConvCase) -> None:
    data = case.but(in_channels=64, out_channels=64).data()
    x = data.activation.dequantize()
    actual = ops.op(f"{kind_of(data)}_dynamic", "quantized")(x, ops.pack(data).as_quantized())
    expected = dynamic_conv(x, data.weight, data.bias, data.geometry, reduce_range=False)
    assert expected.abs().max() > 1.2 * x.abs().max(), "else PyTorch's clamp would not show"
    # The sum's conversion, two scales, two products and the bias: eight roundings of the largest.
    tolerance = 8 * FLOAT32_ROUNDING * float(expected.abs().max()) * 2
    torch.testing.assert_close(actual.double(), expected, rtol=0, atol=tolerance)


@every_example
def test_pytorchs_unpack_op_gives_back_what_was_packed(case: ConvCase) -> None:
    data = case.data()
    guise = ops.pack(data).as_quantized()
    weight, bias = ops.op(f"{kind_of(data)}_unpack", "quantized")(guise)
    assert torch.equal(weight, data.weight)
    assert bias is None if data.bias is None else torch.equal(bias, data.bias)


# PyTorch has these ops for all kinds of two and three dimensions.
@pytest.mark.parametrize("case", [c for c in EXAMPLES if c.dims > 1], ids=str)
def test_pytorchs_accessor_ops_tell_what_was_packed(case: ConvCase) -> None:
    data = case.data()
    guise = ops.pack(data).as_quantized()
    for name in ("stride", "padding", "output_padding", "dilation"):
        value = ops.op(f"{kind_of(data)}_{name}", "quantized")(guise)
        assert value == list(getattr(case, name)), name
    assert ops.op(f"{kind_of(data)}_groups", "quantized")(guise) == case.groups
    assert ops.op(f"{kind_of(data)}_transpose", "quantized")(guise) == case.transposed


def test_pytorchs_unpack_sizes_op_tells_what_was_packed() -> None:
    case = EXAMPLES[1]
    data = case.data()
    sizes = torch.ops.quantized.conv2d_unpack_sizes(ops.pack(data).as_quantized())
    lists = [list(case.stride), list(case.padding), list(case.dilation)]
    assert list(sizes) == [list(case.weight_shape), [case.out_channels], *lists, case.groups]


@every_example
def test_methods_of_pytorchs_class_work_on_it(case: ConvCase) -> None:
    data = case.data()
    params = ops.pack(data)
    guise = params.as_quantized()
    for name in ("stride", "padding", "output_padding", "dilation", "groups", "transpose"):
        assert getattr(guise, name)() == getattr(params, name)(), name
    assert torch.equal(guise.weight(), params.weight())
    assert torch.equal(guise.unpack()[0], params.weight())
    bias = params.bias()
    assert guise.bias() is None if bias is None else torch.equal(guise.bias(), bias)


@every_example
def test_own_ops_take_it_too(case: ConvCase) -> None:
    data = case.data()
    guise = ops.pack(data).as_quantized()
    assert_matches(ops.run(data, guise), data.expected())


@every_example
def test_it_outlives_the_object_that_it_came_from(case: ConvCase) -> None:
    data = case.data()
    params = ops.pack(data)
    guise = params.as_quantized()
    del params
    assert_matches(ops.stock_run(data, guise), data.expected())


@every_example
@pytest.mark.parametrize("engine", ["fbgemm", "qnnpack", "onednn", "x86"])
def test_it_runs_whatever_engine_pytorch_has_selected(case: ConvCase, engine: str) -> None:
    data = case.data()
    guise = ops.pack(data).as_quantized()
    with ops.stock_engine(engine):
        assert_matches(ops.stock_run(data, guise), data.expected())
