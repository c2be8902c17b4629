"""Weights and biases that make no convolution are refused, whatever version they come in."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from bad_input import per_channel, qint8, quantized, with_storage
from saved_states import WRITERS, Parts
from spoiled_states import BIAS, PARTS, WEIGHT, assert_refused, rows
from torch import Tensor

SHAPE = tuple(WEIGHT.shape)
every_version = pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
Write = Callable[[Parts], tuple]


def channels(scales: Tensor, zero_points: Tensor, axis: int = 0) -> Tensor:
    """A per-channel weight that the functions which check it would not make."""
    return torch._empty_per_channel_affine_quantized(
        SHAPE, scales=scales, zero_points=zero_points, axis=axis, dtype=torch.qint8
    )


SCALES = torch.full((4,), 0.1, dtype=torch.float64)
ZEROS = torch.zeros(4, dtype=torch.int64)
NO_QINT8 = "weight must have dtype torch.qint8, got "
RANK = "weight must have 4 dimensions [out_channels, in_channels/groups, kernel...], got "
EMPTY = "weight must have no empty dimension, got "
SCALE = "weight scale must be a positive, finite and normal float32 number, got "
LAST_SCALE = SCALE.replace("scale", "scale of channel 3", 1)
ZERO_POINT = "weight zero point must be in [-128, 127], got "
LAST_ZERO_POINT = ZERO_POINT.replace("point", "point of channel 3", 1)
ONE_EACH = "weight must have one scale and zero point for each of its 4 channels, got "
AXIS = "weight must be quantized along axis 0 (out_channels), got axis "


@rows(
    {
        "int8": (WEIGHT.int_repr(), TypeError, NO_QINT8 + "torch.int8"),
        "float": (WEIGHT.dequantize(), TypeError, NO_QINT8 + "torch.float32"),
        "quint8": (quantized(SHAPE, torch.quint8), TypeError, NO_QINT8 + "torch.quint8"),
        "qint32": (quantized(SHAPE, torch.qint32), TypeError, NO_QINT8 + "torch.qint32"),
        "no quantizer": (
            torch.empty(SHAPE, dtype=torch.qint8),
            ValueError,
            "weight must be quantized",
        ),
        "rank 0": (qint8(()), ValueError, RANK + "0"),
        "rank 3": (qint8(SHAPE[:3]), ValueError, RANK + "3"),
        "rank 5": (qint8((*SHAPE, 3)), ValueError, RANK + "5"),
        "no out_channels": (qint8((0, 2, 3, 3)), ValueError, EMPTY + "[0, 2, 3, 3]"),
        "no in_channels": (qint8((4, 0, 3, 3)), ValueError, EMPTY + "[4, 0, 3, 3]"),
        "no height": (qint8((4, 2, 0, 3)), ValueError, EMPTY + "[4, 2, 0, 3]"),
        "no width": (qint8((4, 2, 3, 0)), ValueError, EMPTY + "[4, 2, 3, 0]"),
        "no memory": (with_storage(qint8(SHAPE), 0), ValueError, "weight of size [4, 2, 3, 3] and"),
        "a byte short": (with_storage(qint8(SHAPE), 71), ValueError, "weight of size [4, 2, 3, 3]"),
        "meta": (
            torch.ones(SHAPE, device="meta"),
            ValueError,
            "weight must be on the CPU, got a ten",
        ),
        "sparse": (torch.ones(SHAPE).to_sparse(), TypeError, "weight must be a dense tensor, got "),
        "scale 0": (qint8(SHAPE, scale=0.0), ValueError, SCALE + "0"),
        "scale -1": (qint8(SHAPE, scale=-1.0), ValueError, SCALE + "-1"),
        "scale nan": (qint8(SHAPE, scale=math.nan), ValueError, SCALE + "nan"),
        "scale inf": (qint8(SHAPE, scale=math.inf), ValueError, SCALE + "inf"),
        "scale 1e-45": (qint8(SHAPE, scale=1e-45), ValueError, SCALE + "1e-45"),
        "scale 1e39": (qint8(SHAPE, scale=1e39), ValueError, SCALE + "1e+39"),
        "zero point 128": (qint8(SHAPE, zero_point=128), ValueError, ZERO_POINT + "128"),
        "zero point -129": (qint8(SHAPE, zero_point=-129), ValueError, ZERO_POINT + "-129"),
        "zero point 2**40": (qint8(SHAPE, zero_point=2**40), ValueError, ZERO_POINT + str(2**40)),
        "a channel's scale": (per_channel(SHAPE, last_scale=math.nan), ValueError, LAST_SCALE),
        "a channel's zero point": (
            per_channel(SHAPE, last_zero_point=128),
            ValueError,
            LAST_ZERO_POINT + "128",
        ),
        "three channels": (channels(SCALES[:3], ZEROS[:3]), ValueError, ONE_EACH + "3 and 3"),
        "five channels": (
            channels(torch.ones(5, dtype=torch.float64), torch.zeros(5, dtype=torch.int64)),
            ValueError,
            ONE_EACH + "5 and 5",
        ),
        "axis 1": (per_channel(SHAPE, axis=1), ValueError, AXIS + "1"),
        "axis 7": (channels(SCALES, ZEROS, axis=7), ValueError, AXIS + "7"),
        "axis -4": (channels(SCALES, ZEROS, axis=-4), ValueError, AXIS + "-4"),
        "float zero points": (
            channels(SCALES.float(), ZEROS.float()),
            ValueError,
            "weight must be quantized per_tensor_affine or per_channel_affine, got per_channel_af",
        ),
        "scales without memory": (
            channels(with_storage(SCALES.clone(), 8), ZEROS),
            ValueError,
            "weight's scales of size [4] and strides [1] must lie inside its storage of 8 bytes",
        ),
        "zero points without memory": (
            channels(SCALES, with_storage(ZEROS.clone(), 8)),
            ValueError,
            "weight's zero points of size [4] and strides [1] must lie inside its storage of 8 by",
        ),
    }
)
@every_version
def test_weight(write: Write, state: Any, error: type[Exception], text: str) -> None:
    assert_refused(write(PARTS.but(weight=state)), error, text)


LENGTH = "bias must have one dimension with out_channels = 4 elements, got size "
NO_FLOAT = "bias must have dtype torch.float32, got "


@rows(
    {
        "short": (BIAS[:3], ValueError, LENGTH + "[3]"),
        "long": (torch.zeros(5), ValueError, LENGTH + "[5]"),
        "empty": (BIAS[:0], ValueError, LENGTH + "[0]"),
        "scalar": (BIAS[0], ValueError, LENGTH + "[]"),
        "column": (BIAS[:, None], ValueError, LENGTH + "[4, 1]"),
        "double": (BIAS.double(), TypeError, NO_FLOAT + "torch.float64"),
        "half": (BIAS.half(), TypeError, NO_FLOAT + "torch.float16"),
        "int32": (BIAS.int(), TypeError, NO_FLOAT + "torch.int32"),
        "qint32": (quantized((4,), torch.qint32), TypeError, NO_FLOAT + "torch.qint32"),
        "no memory": (
            with_storage(BIAS.clone(), 0),
            ValueError,
            "bias of size [4] and strides [1]",
        ),
        "half memory": (
            with_storage(BIAS.clone(), 8),
            ValueError,
            "bias of size [4] and strides [1",
        ),
        "meta": (
            BIAS.to("meta"),
            ValueError,
            "bias must be on the CPU, got a tensor on device meta",
        ),
        "sparse": (BIAS.to_sparse(), TypeError, "bias must be a dense tensor, got layout Sparse"),
        "nan": (BIAS * math.nan, ValueError, "bias must be finite, got nan for channel 0"),
        "inf": (BIAS + math.inf, ValueError, "bias must be finite, got inf for channel 0"),
    }
)
@every_version
def test_bias(write: Write, state: Any, error: type[Exception], text: str) -> None:
    assert_refused(write(PARTS.but(bias=state)), error, text)
