"""The methods of the packed-params classes give back what was packed."""

from __future__ import annotations

import ops
import pytest
import torch
from cases import feature_cases
from conv_case import ConvCase
from packed_examples import EXAMPLES, every_example, kind_of

FEATURES = tuple(feature_cases())


@pytest.mark.parametrize("case", [*FEATURES, *EXAMPLES], ids=str)
def test_methods_give_back_what_was_packed(case: ConvCase) -> None:
    data = case.data()
    params = ops.pack(data)
    weight, bias = params.unpack()
    # 1-D is stored as 2-D with a height of 1, as PyTorch does.
    stored = data.weight.unsqueeze(2) if case.dims == 1 else data.weight
    assert torch.equal(weight, stored)
    assert torch.equal(params.weight(), stored)
    assert weight.qscheme() == stored.qscheme()
    for given in (bias, params.bias()):
        assert given is None if data.bias is None else torch.equal(given, data.bias)

    leading = case.dims == 1
    assert params.stride() == [1] * leading + list(case.stride)
    assert params.padding() == [0] * leading + list(case.padding)
    assert params.output_padding() == [0] * leading + list(case.output_padding)
    assert params.dilation() == [1] * leading + list(case.dilation)
    assert params.kernel_size() == [1] * leading + list(case.kernel)
    assert (params.groups(), params.transpose()) == (case.groups, case.transposed)
    assert (params.in_channels(), params.out_channels()) == (case.in_channels, case.out_channels)
    assert params.conv_dims() == case.dims
    assert params.per_channel() == case.per_channel


@pytest.mark.parametrize("case", [*FEATURES, *EXAMPLES], ids=str)
def test_scales_and_zero_points_are_kept_in_full_precision(case: ConvCase) -> None:
    data = case.data()
    params = ops.pack(data)
    scales, zero_points = params.weight_scales(), params.weight_zero_points()
    assert (scales.dtype, zero_points.dtype) == (torch.float64, torch.int64)
    if case.per_channel:
        assert torch.equal(scales, data.weight.q_per_channel_scales())
        assert torch.equal(zero_points, data.weight.q_per_channel_zero_points())
    else:
        assert scales.tolist() == [data.weight.q_scale()]
        assert zero_points.tolist() == [data.weight.q_zero_point()]


# PyTorch packs no transposed per-channel weights.
COMMON = [c for c in (*FEATURES, *EXAMPLES) if not (c.transposed and c.per_channel)]


@pytest.mark.parametrize("case", COMMON, ids=str)
def test_methods_of_pytorchs_class_answer_alike(case: ConvCase) -> None:
    data = case.data()
    ours, stock = ops.pack(data), ops.stock_pack(data, "fbgemm")
    for name in ("stride", "padding", "output_padding", "dilation", "groups", "transpose"):
        assert getattr(ours, name)() == getattr(stock, name)(), name
    for mine, theirs in (
        (ours.weight(), stock.weight()),
        (ours.unpack()[0], stock.unpack()[0]),
    ):
        assert torch.equal(mine.int_repr(), theirs.int_repr())
        assert mine.qscheme() == theirs.qscheme()
        # PyTorch's fbgemm engine rounds per-channel scales to float32; here they are kept.
        assert torch.equal(ours.weight_scales().float(), scales_of(theirs).float())
    for mine, theirs in ((ours.bias(), stock.bias()), (ours.unpack()[1], stock.unpack()[1])):
        assert theirs is None if mine is None else torch.equal(mine, theirs)


def scales_of(weight: torch.Tensor) -> torch.Tensor:
    if weight.qscheme() == torch.per_channel_affine:
        return weight.q_per_channel_scales()
    return torch.tensor([weight.q_scale()], dtype=torch.float64)


def test_class_has_every_method_of_pytorchs() -> None:
    for case in EXAMPLES:
        data = case.data()
        stock = set(ops.stock_pack(data, "qnnpack")._method_names())
        assert stock <= set(ops.pack(data)._method_names()), kind_of(data)


@every_example
def test_results_of_methods_are_the_callers_to_change(case: ConvCase) -> None:
    data = case.data()
    params = ops.pack(data)
    before = ops.run(data, params)
    params.weight().untyped_storage().fill_(0)
    params.weight_scales().fill_(7)
    params.weight_zero_points().fill_(7)
    params.stride()[0] = 7
    if (bias := params.bias()) is not None:
        bias.fill_(7)
    assert torch.equal(ops.run(data, params).int_repr(), before.int_repr())
    assert torch.equal(params.weight_scales(), ops.pack(data).weight_scales())


@every_example
def test_engine_and_kernel_are_named(case: ConvCase) -> None:
    params = ops.pack(case.data())
    assert params.engine() in ops.ENGINES
    assert params.kernel_name()
    assert ops.pack(case.data(), engine="auto").engine() == params.engine()


@every_example
def test_nbytes_counts_the_weight_and_grows_with_it(case: ConvCase) -> None:
    sizes = []
    for channels in (16, 128):
        data = case.but(in_channels=channels, out_channels=channels).data()
        sizes.append(ops.pack(data).nbytes())
        # Engines pad a group's weight to whole blocks of some kilobytes, which is most of a small
        # one; beyond that nothing may be held twice.
        weights = data.weight.numel()
        assert weights <= sizes[-1] <= 2 * weights + 2**16 * case.groups
    assert sizes[0] < sizes[1]


def test_bias_and_scales_count_too() -> None:
    case = ConvCase("plain", per_channel=True)
    sizes = [ops.pack(case.but(bias=b).data(), "fbgemm").nbytes() for b in (True, False)]
    assert sizes[0] - sizes[1] == 4 * case.out_channels
