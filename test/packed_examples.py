"""One packed convolution of every kind, and exact comparison of packed objects."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from conv_case import ConvCase, ConvData
from ops import kind, run

# Between them they have every feature that a packed object can hold.
EXAMPLES = (
    ConvCase("conv1d", dims=1, groups=2, stride=(2,), padding=(1,), per_channel=True),
    ConvCase("conv2d", groups=2, stride=(2, 1), padding=(1, 0), dilation=(1, 2), per_channel=True),
    ConvCase("conv3d", dims=3, padding=(1, 0, 1), stride=(1, 2, 1), weight_zero_points=True),
    ConvCase(
        "conv_transpose1d",
        dims=1,
        transposed=True,
        stride=(2,),
        output_padding=(1,),
        per_channel=True,
    ),
    ConvCase(
        "conv_transpose2d",
        transposed=True,
        in_channels=6,
        out_channels=10,
        groups=2,
        stride=(2, 1),
        output_padding=(1, 0),
        weight_zero_points=True,
    ),
    ConvCase("conv_transpose3d", dims=3, transposed=True, padding=(1, 0, 1), bias=False),
)

every_example = pytest.mark.parametrize("case", EXAMPLES, ids=str)


def kind_of(data: ConvData) -> str:
    """Name of the run op."""
    return kind(data.geometry.dims, data.geometry.transposed)


def facts(params: Any) -> dict[str, Any]:
    """All that an object of this package tells of itself, in comparable values."""
    weight, bias = params.unpack()
    names = "stride padding output_padding dilation groups transpose per_channel engine kernel_name"
    names += " nbytes conv_dims in_channels out_channels kernel_size"
    return {
        "class": str(params._type()),
        "weight": weight.int_repr().tolist(),
        "scheme": weight.qscheme(),
        "scales": params.weight_scales().tolist(),
        "zero_points": params.weight_zero_points().tolist(),
        # As hexadecimal text, which tells -0.0 from 0.0.
        "bias": None if bias is None else [value.hex() for value in bias.tolist()],
        **{name: getattr(params, name)() for name in names.split()},
    }


def assert_same_params(actual: Any, expected: Any, data: ConvData) -> None:
    """Two objects of this package hold the same bits and compute the same outputs."""
    assert facts(actual) == facts(expected)
    assert torch.equal(run(data, actual).int_repr(), run(data, expected).int_repr())
