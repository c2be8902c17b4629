"""OpenVINO's convolution node alone, without its runtime, timed by OpenVINO's own profile.

The model is a dequantized uint8 input, a convolution with int8 weights, bias, ReLU and a
FakeQuantize to uint8: OpenVINO makes one int8 node of it, whose output is uint8.

The profile holds the mean over all runs of a compiled model. Each run's time is cut to whole
microseconds, and the mean again (openvino/src/plugins/intel_cpu/src/perf_count.h). So that cold
runs don't count, each block compiles the model anew, warms it up, and takes from the total after
the block what the total was before. What remains is that figures are too low by up to 2 us, about 1
on average: in OpenVINO's favour, and by much for layers of a few microseconds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import openvino as ov
import torch
from openvino import opset13 as ops
from problem import Problem
from torch import Tensor

WARM_UP = 20


class OpenVinoNode:
    def __init__(self, problem: Problem, threads: int) -> None:
        if problem.layer.transposed:
            raise NotImplementedError("the model for transposed layers isn't written")
        self._core = ov.Core()
        self._model = _model(problem)
        self._settings = {"PERF_COUNT": "YES", "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1}
        self._input = ov.Tensor(problem.activation.int_repr().contiguous().numpy())
        self._last_node: Any = None

    def time_block(self, repetitions: int) -> float:
        request = self._request()
        for _ in range(WARM_UP):
            request.infer()
        before = self._microseconds(request) * WARM_UP
        for _ in range(repetitions):
            request.infer()
        total = self._microseconds(request) * (WARM_UP + repetitions)
        # The mean is in whole microseconds: of few runs the difference may come out below it.
        return max((total - before) / repetitions, 0.5)

    def output(self) -> Tensor:
        request = self._request()
        request.infer()
        self._microseconds(request)
        return torch.from_numpy(request.get_output_tensor().data.copy())

    def kernel(self) -> str:
        return str(self._last_node.exec_type) if self._last_node else ""

    def _request(self) -> Any:
        request = self._core.compile_model(
            self._model, "CPU", self._settings
        ).create_infer_request()
        request.set_input_tensor(self._input)
        return request

    def _microseconds(self, request: Any) -> int:
        nodes = [n for n in request.get_profiling_info() if n.node_type.endswith("Convolution")]
        if len(nodes) != 1:
            raise RuntimeError(f"OpenVINO ran {len(nodes)} convolution nodes instead of 1")
        self._last_node = nodes[0]
        return round(nodes[0].real_time.total_seconds() * 1e6)


def _model(problem: Problem) -> Any:
    layer = problem.layer
    dims = len(layer.kernel)
    x = ops.parameter(list(problem.activation.shape), np.uint8)
    real = ops.convert(x, "f32")
    if problem.activation.q_zero_point():
        real = ops.subtract(real, np.float32(problem.activation.q_zero_point()))
    real = ops.multiply(real, np.float32(problem.activation.q_scale()))

    weight = problem.weight.int_repr().numpy()
    scales = problem.weight.q_per_channel_scales().float().numpy()
    shape = [-1, *[1] * (dims + 1)]
    if layer.groups > 1:
        weight = weight.reshape(layer.groups, -1, *weight.shape[1:])
        shape = [layer.groups, -1, *[1] * (dims + 1)]
    real_weight = ops.multiply(
        ops.convert(ops.constant(weight), "f32"), ops.constant(scales.reshape(shape))
    )
    convolution = ops.convolution if layer.groups == 1 else ops.group_convolution
    padding = list(layer.padding)
    y = convolution(real, real_weight, list(layer.stride), padding, padding, list(layer.dilation))
    y = ops.relu(ops.add(y, ops.constant(problem.bias.numpy().reshape(1, -1, *[1] * dims))))
    low, high = (
        np.float32((bound - problem.output_zero_point) * problem.output_scale) for bound in (0, 255)
    )
    y = ops.fake_quantize(y, low, high, np.float32(0), np.float32(255), 256)
    return ov.Model([ops.result(ops.convert(y, "u8"))], [x])
