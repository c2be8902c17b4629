"""The native core called from C, without torch, Python or an allocation: what of our op's time is
its kernel's. The loop that times it is in benchmarks/native/timed_layer.cpp, which `make native`
builds."""

from __future__ import annotations

import ctypes
from pathlib import Path

import torch
from problem import Problem
from torch import Tensor

LIBRARY = Path(__file__).parents[1] / "build" / "native" / "libtimed_layer.so"


class CoreLayer:
    def __init__(self, problem: Problem, threads: int) -> None:
        layer = problem.layer
        if layer.transposed or threads > 1:
            raise NotImplementedError("timed_layer runs forward convolutions on one thread")
        if not LIBRARY.is_file():
            raise RuntimeError(f"{LIBRARY} isn't there; make native builds it")
        self._library = ctypes.CDLL(str(LIBRARY))
        self._library.timed_layer_open.restype = ctypes.c_void_p
        self._library.timed_layer_run.restype = ctypes.c_double
        shape = [
            size
            for sizes, missing in (
                (layer.kernel, 1),
                (layer.stride, 1),
                (layer.padding, 0),
                (layer.dilation, 1),
                (layer.input_size, 1),
            )
            for size in (*[missing] * (3 - len(sizes)), *sizes)
        ]
        self._activation = problem.activation.int_repr().movedim(1, -1).contiguous()
        batch = self._activation.size(0)
        weight = problem.weight.int_repr().contiguous()
        scales = problem.weight.q_per_channel_scales().double()
        self._output = torch.empty(
            (batch, *layer.output_size, layer.out_channels), dtype=torch.uint8
        )
        self._layer = ctypes.c_void_p(
            self._library.timed_layer_open(
                _integers([layer.in_channels, layer.out_channels, layer.groups]),
                _integers(shape),
                ctypes.c_int64(batch),
                _address(weight),
                _address(scales),
                _address(problem.bias),
                _address(self._activation),
                ctypes.c_double(problem.activation.q_scale()),
                ctypes.c_int32(problem.activation.q_zero_point()),
                _address(self._output),
                ctypes.c_double(problem.output_scale),
                ctypes.c_int32(problem.output_zero_point),
            )
        )
        if not self._layer:
            raise RuntimeError("timed_layer couldn't pack the layer")

    def time_block(self, repetitions: int) -> float:
        self._run(max(1, min(repetitions // 10, 20)))
        return self._run(repetitions)

    def output(self) -> Tensor:
        self._run(1)
        return self._output.movedim(-1, 1)

    def kernel(self) -> str:
        return "native"

    def _run(self, repetitions: int) -> float:
        time: float = self._library.timed_layer_run(self._layer, ctypes.c_int64(repetitions))
        if time < 0:
            raise RuntimeError("timed_layer couldn't run the layer")
        return time

    def __del__(self) -> None:
        if layer := getattr(self, "_layer", None):
            self._library.timed_layer_close(layer)


def _integers(values: list[int]) -> ctypes.Array[ctypes.c_int64]:
    return (ctypes.c_int64 * len(values))(*values)


def _address(tensor: Tensor) -> ctypes.c_void_p:
    return ctypes.c_void_p(tensor.data_ptr())
