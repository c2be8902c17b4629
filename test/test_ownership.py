"""Packed params and outputs own their memory: nothing is shared with the caller."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from conv_case import ConvCase, ConvData
from ops import kind, on_engines, op, pack, run, supported
from torch import Tensor

import torch_qconv_prepack as qconv

# One convolution for each kernel of the engines that keeps weights in its own order, among them
# the weights whose packed order could be the caller's (1x1, a single channel).
CASES = (
    ConvCase("conv1d", dims=1, per_channel=True, weight_zero_points=True),
    ConvCase("conv2d", per_channel=True),
    ConvCase("conv2d-per_tensor", weight_zero_points=True),
    ConvCase("conv2d-pointwise", kernel=(1,), per_channel=True),
    ConvCase("conv2d-groups", in_channels=64, out_channels=64, groups=4, padding=(1,)),
    ConvCase("conv2d-depthwise", in_channels=16, out_channels=16, groups=16, padding=(1,)),
    ConvCase("conv2d-depthwise-full_range", groups=8, per_channel=True, full_range=True),
    ConvCase("conv2d-one-channel", in_channels=1, out_channels=1, kernel=(1,), per_channel=True),
    ConvCase("conv3d", dims=3, per_channel=True),
    ConvCase("conv_transpose1d", dims=1, transposed=True),
    ConvCase("conv_transpose2d", transposed=True, per_channel=True, weight_zero_points=True),
    ConvCase("conv_transpose3d", dims=3, transposed=True),
)


def scribble(tensor: Tensor | None) -> None:
    """Change every value of a tensor in place, and its quantization where it has tensors of it."""
    if tensor is None:
        return
    if not tensor.is_quantized:
        tensor.mul_(-3).add_(1)
        return
    storage = torch.tensor([], dtype=torch.int8).set_(tensor.untyped_storage())
    storage.bitwise_not_()
    if tensor.qscheme() == torch.per_channel_affine:
        scribble(tensor.q_per_channel_scales())
        scribble(tensor.q_per_channel_zero_points())


def observe(params: Any, data: ConvData) -> list[Any]:
    """All that an object answers, in values of their own memory."""
    weight, bias = params.unpack()
    name = kind(data.geometry.dims, data.geometry.transposed)
    return [
        run(data, params).int_repr().tolist(),
        run(data, params, "_relu").int_repr().tolist(),
        op(f"{name}_dynamic")(data.activation.dequantize(), params).tolist(),
        weight.int_repr().tolist(),
        bias.tolist(),
        params.weight_scales().tolist(),
        params.weight_zero_points().tolist(),
        *(list(getattr(params, n)()) for n in ("stride", "padding", "dilation", "output_padding")),
    ]


def test_scribbling_changes_the_result_of_a_new_packing() -> None:
    data = CASES[1].data()
    before = observe(pack(data), data)
    scribble(data.weight)
    scribble(data.bias)
    after = observe(pack(data), data)
    changed = [old != new for old, new in zip(before, after, strict=True)]
    assert changed == [True] * 7 + [False] * 4  # not the stride and its like


@on_engines(CASES)
@pytest.mark.parametrize("when", ["before the first run", "after it"])
def test_arguments_of_prepack_may_change_afterwards(case: ConvCase, when: str, engine: str) -> None:
    data = supported(case, engine).data()
    expected = observe(pack(data, engine), data)
    weight, bias = data.weight.clone(), data.bias.clone() if data.bias is not None else None
    geometry = data.geometry
    lists = [list(geometry.stride), list(geometry.padding), list(geometry.dilation)]
    if geometry.transposed:
        lists.insert(2, list(geometry.output_padding))
    prepack = op(f"{kind(geometry.dims, geometry.transposed)}_prepack")
    params = prepack(weight, bias, *lists, geometry.groups, engine=engine)
    if when == "after it":
        run(data, params)
    scribble(weight)
    scribble(bias)
    for values in lists:
        values[:] = [7] * len(values)
    assert observe(params, data) == expected


def test_weight_made_of_the_callers_scales_is_copied() -> None:
    scales = torch.full((8,), 0.05, dtype=torch.float64)
    zero_points = torch.zeros(8, dtype=torch.int64)
    ones = torch.ones(8, 4, 3, 3, dtype=torch.int8)
    weight = torch._make_per_channel_quantized_tensor(ones, scales, zero_points, 0)
    params = op("conv2d_prepack")(weight, None, [1, 1], [0, 0], [1, 1], 1)
    for tensor in (scales, zero_points, ones):
        scribble(tensor)
    assert params.weight_scales().tolist() == [0.05] * 8
    assert params.weight_zero_points().tolist() == [0] * 8
    assert params.weight().int_repr().unique().tolist() == [1]


# What each returns may be changed.
ANSWERS: dict[str, Callable[[Any, ConvData], list[Any]]] = {
    "unpack": lambda params, data: list(params.unpack()),
    "weight": lambda params, data: [params.weight()],
    "bias": lambda params, data: [params.bias()],
    "weight_scales": lambda params, data: [params.weight_scales()],
    "weight_zero_points": lambda params, data: [params.weight_zero_points()],
    "unpack op": lambda params, data: list(
        op(f"{kind(data.geometry.dims, data.geometry.transposed)}_unpack")(params)
    ),
    "get_state": lambda params, data: _tensors(qconv.get_state(params)),
    "output": lambda params, data: [run(data, params), run(data, params, "_relu")],
    "lists": lambda params, data: [
        getattr(params, name)() for name in ("stride", "padding", "dilation", "kernel_size")
    ],
}


def _tensors(state: Any) -> list[Tensor]:
    if isinstance(state, Tensor):
        return [state]
    if isinstance(state, (tuple, list)):
        return [tensor for part in state for tensor in _tensors(part)]
    return []


@on_engines(CASES)
@pytest.mark.parametrize("answer", ANSWERS)
def test_what_an_object_returns_may_change(case: ConvCase, answer: str, engine: str) -> None:
    data = supported(case, engine).data()
    params = pack(data, engine)
    expected = observe(params, data)
    for value in ANSWERS[answer](params, data):
        if isinstance(value, Tensor):
            scribble(value)
        else:
            value[:] = [7] * len(value)
    assert observe(params, data) == expected


@on_engines(CASES)
def test_state_may_change_after_loading(case: ConvCase, engine: str) -> None:
    data = supported(case, engine).data()
    original = pack(data, engine)
    state = qconv.get_state(original)
    loaded = qconv.from_state(state, dims=3 if case.dims == 3 else 2, engine=engine)
    for tensor in _tensors(state):
        scribble(tensor)
    assert observe(loaded, data) == observe(original, data)


@on_engines(CASES)
def test_outputs_share_no_memory_with_inputs_or_each_other(case: ConvCase, engine: str) -> None:
    data = supported(case, engine).data()
    params = pack(data, engine)
    name = kind(case.dims, case.transposed)
    real = data.activation.dequantize()
    before = data.activation.int_repr().clone(), real.clone()
    outputs = [run(data, params), run(data, params), run(data, params, "_relu")]
    outputs += [op(f"{name}_dynamic")(real, params) for _ in range(2)]
    storages = [t.untyped_storage().data_ptr() for t in (data.activation, real, *outputs)]
    assert len(set(storages)) == len(storages)
    assert torch.equal(data.activation.int_repr(), before[0])
    assert torch.equal(real, before[1])
