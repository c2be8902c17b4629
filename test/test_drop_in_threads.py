"""Threads run, pack, copy and load while drop-in mode goes on and off under them."""

from __future__ import annotations

import copy
import io
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from conv_case import ConvCase, ConvData
from ops import kind, op, pack, pack_arguments, stock_engine, stock_pack, stock_run
from torch import Tensor, nn

import torch_qconv_prepack as qconv

# `make stress` asks for more.
SWITCHINGS = 20 * int(os.environ.get("QCONV_STRESS_SECONDS", "10"))

# PyTorch's engine fbgemm is right on these.
CASES = (
    ConvCase("conv1d", dims=1, in_channels=16, out_channels=8, padding=(1,)),
    ConvCase("conv2d", in_channels=16, out_channels=8, padding=(1,), per_channel=True),
    ConvCase("conv3d", dims=3, in_channels=8, out_channels=8, input_size=(4,)),
    ConvCase("conv_transpose2d", transposed=True, in_channels=8, out_channels=8, stride=(2,)),
)


class Layer(nn.Module):
    def __init__(self, data: ConvData, params: torch.ScriptObject) -> None:
        super().__init__()
        self.params = params
        self.scale, self.zero_point = data.output_scale, data.output_zero_point

    def forward(self, x: Tensor) -> Tensor:
        return torch.ops.quantized.conv2d(x, self.params, self.scale, self.zero_point)


def farthest(actual: Tensor, expected: Tensor) -> int:
    return int((actual.int_repr().int() - expected.int_repr().int()).abs().max())


def work_of(data: ConvData) -> list[Callable[[], None]]:
    """What a thread does again and again: with an object of PyTorch's, and with one of ours."""
    stock, ours = stock_pack(data, "fbgemm"), pack(data).as_quantized()
    expected = {id(params): stock_run(data, params).int_repr() for params in (stock, ours)}

    def run() -> None:
        for params in (stock, ours):
            assert torch.equal(stock_run(data, params).int_repr(), expected[id(params)])

    prepack = op(f"{kind(data.geometry.dims, data.geometry.transposed)}_prepack", "quantized")

    def pack_and_copy() -> None:
        # Whoever packs or copies it, it is the same convolution.
        packed = prepack(*pack_arguments(data))
        for params in (packed, copy.deepcopy(stock), copy.deepcopy(ours)):
            assert farthest(stock_run(data, params), stock_run(data, ours)) <= 1

    return [run, pack_and_copy]


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def loading() -> Callable[[], None]:
    data = CASES[1].data()
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(Layer(data, stock_pack(data, "fbgemm"))), buffer)
    expected = stock_run(data, pack(data).as_quantized())

    def load() -> None:
        module = torch.jit.load(io.BytesIO(buffer.getvalue()))
        assert farthest(module(data.activation), expected) <= 1

    return load


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_nobody_notices_that_it_goes_on_and_off() -> None:
    work = [*(task for case in CASES for task in work_of(case.data())), loading()]
    stop = threading.Event()

    def again_and_again(task: Callable[[], None]) -> int:
        rounds = 0
        while not stop.is_set():
            task()
            rounds += 1
        return rounds

    # PyTorch's choice of its engine is the process's, and no thread's.
    with stock_engine("fbgemm"), ThreadPoolExecutor(len(work)) as pool:
        try:
            futures = [pool.submit(again_and_again, task) for task in work]
            for index in range(SWITCHINGS):
                with qconv.enabled(("qnnpack", "fbgemm", None)[index % 3]):
                    # The interpreter's lock goes round.
                    threading.Event().wait(0.002)
                threading.Event().wait(0.002)
        finally:
            stop.set()
        assert min(future.result() for future in futures) > 0
    assert not qconv.is_enabled()
