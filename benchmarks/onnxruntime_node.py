"""ONNX Runtime's QLinearConv node alone, timed by ONNX Runtime's own profile.

The model is that one node, with uint8 activations and int8 weights. It has no ReLU, so its outputs
are clamped here before they are compared. The profile has a time in whole microseconds, cut, for
each run: figures are too low by half a microsecond on average.
ONNX Runtime has no setting that caps the instruction set.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from problem import Problem
from torch import Tensor

WARM_UP = 20


class OnnxRuntimeNode:
    def __init__(self, problem: Problem, threads: int) -> None:
        if problem.layer.transposed:
            raise NotImplementedError("ONNX has no quantized transposed convolution")
        self._model = _model(problem)
        self._input = problem.activation.int_repr().contiguous().numpy()
        self._relu_floor = problem.output_zero_point
        self._threads = threads

    def time_block(self, repetitions: int) -> float:
        with tempfile.TemporaryDirectory() as folder:
            session = self._session(str(Path(folder, "profile")))
            binding = self._bind(session)
            for _ in range(WARM_UP + repetitions):
                session.run_with_iobinding(binding)
            events = json.loads(Path(session.end_profiling()).read_text())
        # Layout changes around the node are nodes of their own.
        times = [
            event["dur"]
            for event in events
            if event.get("cat") == "Node" and event["args"].get("op_name") == "QLinearConv"
        ]
        if len(times) != WARM_UP + repetitions:
            raise RuntimeError(f"ONNX Runtime's profile has {len(times)} runs")
        return max(sum(times[WARM_UP:]) / repetitions, 0.5)

    def output(self) -> Tensor:
        session = self._session(None)
        binding = self._bind(session)
        session.run_with_iobinding(binding)
        # QLinearConv has no ReLU: a clamp at the zero point, which no other contestant lacks.
        y = torch.from_numpy(binding.copy_outputs_to_cpu()[0])
        return y.clamp(min=self._relu_floor)

    def kernel(self) -> str:
        return "QLinearConv"

    def _session(self, profile: str | None) -> Any:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.log_severity_level = 3
        if profile:
            options.enable_profiling = True
            options.profile_file_prefix = profile
        return onnxruntime.InferenceSession(
            self._model, options, providers=["CPUExecutionProvider"]
        )

    def _bind(self, session: Any) -> Any:
        binding = session.io_binding()
        binding.bind_cpu_input("x", self._input)
        binding.bind_output("y")
        return binding


def _model(problem: Problem) -> bytes:
    layer = problem.layer
    x_scale, scales = problem.activation.q_scale(), problem.weight.q_per_channel_scales()
    bias = (problem.bias.double() / (x_scale * scales)).round().int().numpy()
    values = {
        "x_scale": np.float32(x_scale),
        "x_zero_point": np.uint8(problem.activation.q_zero_point()),
        "weight": problem.weight.int_repr().numpy(),
        "weight_scale": scales.float().numpy(),
        "weight_zero_point": np.zeros(layer.out_channels, np.int8),
        "y_scale": np.float32(problem.output_scale),
        "y_zero_point": np.uint8(problem.output_zero_point),
        "bias": bias,
    }
    node = helper.make_node(
        "QLinearConv",
        ["x", *values],
        ["y"],
        kernel_shape=layer.kernel,
        strides=layer.stride,
        pads=layer.padding * 2,
        dilations=layer.dilation,
        group=layer.groups,
    )
    graph = helper.make_graph(
        [node],
        layer.op,
        [helper.make_tensor_value_info("x", TensorProto.UINT8, problem.activation.shape)],
        [helper.make_tensor_value_info("y", TensorProto.UINT8, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()],
    )
    # Old versions that every ONNX Runtime of recent years reads.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return bytes(model.SerializeToString())
