"""Tensors and states of a file that are not sound are refused before anything is built."""

from __future__ import annotations

from pathlib import Path

import pytest
from composed_archives import (
    PER_TENSOR,
    SCALES,
    ZERO_POINTS,
    call,
    nest,
    packed,
    per_channel,
    plain,
    refusal,
    state,
    storage,
    weight,
    write_archive,
)

from torch_qconv_prepack.checkpoint._nodes import Global, Node, PersistentId


def got(size: str = "(2, 3, 1, 1)", stride: str = "(3, 1, 1, 1)", offset: int = 0) -> str:
    return f", got offset {offset}, size {size}, stride {stride}"


INT64 = 2**63 - 1
OUTSIDE = "a tensor must lie inside its storage of 6 elements"
NO_VIEW = "a tensor must have an offset, sizes and as many strides, all >= 0"
NO_STORAGE = "a tensor's storage must be ('storage', type, key, device, elements), got "
NO_QUANTIZER = (
    "a quantizer must be (per_tensor_affine, scale, zero_point) or "
    "(per_channel_affine, scales, zero_points, axis), got "
)
BAD_SCALE = "scales must be finite and above 0, got others"
BAD_ZERO_POINT = "zero points of torch.qint8 must be in (-128, 127), got "
BAD_SCALES = "scales must be 2 contiguous values of torch.float64, got shape (2) of "
REBUILD = "torch._utils._rebuild_qtensor"
PARAMETER = "torch._utils._rebuild_parameter"
NAN = plain(storage("Double", "nan", 2), (2,))
FAR = plain(storage("Long", "far", 2), (2,))

UNSOUND_TENSORS = [
    (weight(size=(2, 4, 1, 1)), OUTSIDE + got("(2, 4, 1, 1)")),
    (weight(offset=1), OUTSIDE + got(offset=1)),
    (weight(stride=(4, 1, 1, 1)), OUTSIDE + got(stride="(4, 1, 1, 1)")),
    # The last element would be at 1 * stride + 2, which wraps around in 64 bits.
    (weight(stride=(INT64, 1, 1, 1)), OUTSIDE + got(stride=f"({INT64}, 1, 1, 1)")),
    (weight(size=(0, 3, 1, 1), offset=7), OUTSIDE + got("(0, 3, 1, 1)", offset=7)),
    (weight(stride=(-3, 1, 1, 1), offset=3), NO_VIEW + got(stride="(-3, 1, 1, 1)", offset=3)),
    (weight(offset=-1), NO_VIEW + got(offset=-1)),
    (weight(size=(2**64, 3, 1, 1)), NO_VIEW + got("(an integer of 65 bits, 3, 1, 1)")),
    (weight(stride=(3, 1)), NO_VIEW + got(stride="(3, 1)")),
    (weight(size=[2, 3, 1, 1]), NO_VIEW + got()),
    (
        weight(size=(1,) * 65, stride=(1,) * 65),
        NO_VIEW + got("a tuple of 65 values", "a tuple of 65 values"),
    ),
    (
        weight(size=(2, 2**30), stride=(0, 0)),
        f"a tensor must not be larger than its file, got size (2, {2**30})",
    ),
    (
        weight(storage(count=5), (1, 1), (1, 1)),
        "storage 'data/0' must have 5 elements of torch.int8, got 6 bytes",
    ),
    (
        weight(storage(count=2**80)),
        "storage 'data/0' must have an integer of 81 bits elements of torch.int8, got 6 bytes",
    ),
    (
        weight(storage(key="../0")),
        "archive must have a member 'data/../0', got none of that name",
    ),
    (
        weight(storage("Bool")),
        "a storage must be a numeric type of torch, got 'torch.BoolStorage'",
    ),
    (weight(("storage",)), NO_STORAGE + "a tuple of 1 values"),
    (weight(PersistentId(7)), NO_STORAGE + "a PersistentId"),
    (weight(storage("Char")), "a quantized tensor must be of qint8 or quint8, got torch.int8"),
    (plain(storage(), (6,)), "a tensor of torch.qint8 must have a quantizer, got none"),
    (
        plain(storage("Char"), (6,), (1,), 0, {"neg": True}),
        "a tensor must have 6 arguments and no metadata, got 7 arguments",
    ),
    (call(REBUILD, storage()), "a quantized tensor must have 7 arguments, got 1"),
    (
        Node(Global(REBUILD), [storage()]),
        "a tensor must have a tuple of arguments, got a list of 1 values",
    ),
    (call(PARAMETER, call(PARAMETER)), f"expected a tensor, got an object of {PARAMETER}"),
    (weight(quantizer=PER_TENSOR[:2]), NO_QUANTIZER + "a tuple of 2 values"),
    (
        weight(quantizer=(Global("torch.per_channel_affine_float_qparams"), 0.5, 3)),
        NO_QUANTIZER + "a tuple of 3 values",
    ),
    (weight(quantizer=(PER_TENSOR[0], float("inf"), 3)), BAD_SCALE),
    (weight(quantizer=(PER_TENSOR[0], 0.0, 3)), BAD_SCALE),
    (weight(quantizer=per_channel(NAN)), BAD_SCALE),
    (weight(quantizer=(PER_TENSOR[0], 0.5, 128)), BAD_ZERO_POINT + "(128, 128)"),
    (
        weight(quantizer=(PER_TENSOR[0], 0.5, 2**70)),
        BAD_ZERO_POINT + "(an integer of 71 bits, an integer of 71 bits)",
    ),
    (weight(quantizer=per_channel(zero_points=FAR)), BAD_ZERO_POINT + "(0, 128)"),
    (weight(quantizer=per_channel(axis=4)), "axis must be in [0, 3], got 4"),
    (weight(quantizer=per_channel(axis=-1)), "axis must be in [0, 3], got -1"),
    (weight(quantizer=per_channel(axis=1)), BAD_SCALES.replace("2", "3", 1) + "torch.float64"),
    (
        weight(quantizer=per_channel(plain(storage("Double", "scales", 2), (2,), (0,)))),
        BAD_SCALES + "torch.float64",
    ),
    (weight(quantizer=per_channel(ZERO_POINTS)), BAD_SCALES + "torch.int64"),
    (
        weight(quantizer=per_channel(zero_points=SCALES)),
        "zero_points must be 2 contiguous values of torch.int64, got shape (2) of torch.float64",
    ),
    (
        weight(quantizer=per_channel(0.5)),
        "scales must be a plain tensor or numbers, got 0.5",
    ),
    (
        weight(quantizer=per_channel(zero_points=weight())),
        f"zero_points must be a plain tensor or numbers, got an object of {REBUILD}",
    ),
    (weight(quantizer=per_channel([0.5, 1])), "scales must be of type float, got (0.5, 1)"),
    (
        weight(quantizer=per_channel([0.5, nest(200)])),
        "scales must be of type float, got a list of 2 values",
    ),
    (
        weight(quantizer=per_channel(call("torch.jit._pickle.build_doublelist", [0.5]))),
        BAD_SCALES.replace("(2)", "(1)") + "torch.float64",
    ),
    (weight(quantizer=per_channel((0.5, float("nan")))), BAD_SCALE),
    (
        weight(quantizer=per_channel(zero_points=[0, 2**64])),
        "zero_points must be of type int, got (0, an integer of 65 bits)",
    ),
    (weight(quantizer=per_channel(zero_points=[0, -129])), BAD_ZERO_POINT + "(-129, 0)"),
    (Global("torch.float32"), "expected a tensor, got the name torch.float32"),
]


@pytest.mark.parametrize(("tensor", "text"), UNSOUND_TENSORS)
def test_unsound_tensor_is_refused(tmp_path: Path, tensor: object, text: str) -> None:
    write_archive(tmp_path / "f.pt", {"p": packed(state(tensor))})
    assert refusal(tmp_path / "f.pt") == f"'p': {text}"


NO_TUPLE = "state must be a tuple with values, got "
NO_VERSION = 'state must start with a tensor (version 1), "2", 3 or "torch_qconv_prepack.1", got '


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ((), NO_TUPLE + "()"),
        ([3], NO_TUPLE + "(3)"),
        (None, NO_TUPLE + "None"),
        ((4,), NO_VERSION + "4"),
        ((3.0,), NO_VERSION + "3.0"),
        ((True,), NO_VERSION + "True"),
        (("3",), NO_VERSION + "'3'"),
        (("2" * 100,), NO_VERSION + repr("2" * 60 + "...")),
        (("torch_qconv_prepack.2",), NO_VERSION + "'torch_qconv_prepack.2'"),
        ((3, nest(8)), "state must nest at most 8 lists, got more"),
    ],
)
def test_unsound_state_is_refused(tmp_path: Path, value: object, text: str) -> None:
    write_archive(tmp_path / "f.pt", {"p": packed(value)})
    assert refusal(tmp_path / "f.pt") == f"'p': {text}"
