"""Eight threads run one object with mixed sizes, scales and ops for a while.

`make stress` gives every engine 30 seconds; QCONV_STRESS_SECONDS says how long.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch
from comparison import assert_matches
from conv_case import ConvCase, ConvData
from ops import kind, on_engines, op, pack
from sums import addend_of, expected_sum
from torch import Tensor

THREADS = 8
SECONDS = float(os.environ.get("QCONV_STRESS_SECONDS", "1.5"))

CASES = (
    ConvCase("dense", in_channels=24, out_channels=40, padding=(1,), per_channel=True),
    ConvCase("depthwise", in_channels=32, out_channels=32, groups=32, padding=(1,)),
    ConvCase("transposed", transposed=True, in_channels=16, out_channels=8, stride=(2,)),
)

Call = tuple[Callable[[], Tensor], Tensor]


def variants(case: ConvCase) -> list[ConvData]:
    """Other sizes, scales and zero points for the weight of the case."""
    first = case.data()
    result = []
    for seed, size in enumerate([(6, 6), (9, 4), (13, 11), (3, 17), (14, 14)]):
        x = case.but(seed=seed, input_size=size, batch=1 + seed % 3).data().activation
        x = torch._make_per_tensor_quantized_tensor(x.int_repr(), 0.02 + 0.01 * seed, 50 * seed)
        scale = first.output_scale * (1 + seed)
        result.append(ConvData(x, first.weight, first.bias, first.geometry, scale, 100 + 5 * seed))
    return result


def calls(case: ConvCase, engine: str) -> list[Call]:
    """Every op on every variant of one object, with its result, which is held to the reference."""
    data = variants(case)
    params = pack(data[0], engine)
    name = kind(case.dims, case.transposed)
    result: list[Call] = []
    for d in data:
        output = (params, d.output_scale, d.output_zero_point)
        addend = addend_of(d, seed=7)
        for relu in (False, True):
            suffix = "_relu" if relu else ""

            def run(d: ConvData = d, suffix: str = suffix, output: tuple = output) -> Tensor:
                return op(name + suffix)(d.activation, *output).int_repr()

            def add(
                d: ConvData = d, suffix: str = suffix, output: tuple = output, a: Tensor = addend
            ) -> Tensor:
                return op(f"{name}_add{suffix}")(d.activation, a, *output).int_repr()

            assert_matches(run(), d.expected(relu=relu, engine=params.engine()))
            assert_matches(add(), expected_sum(d, addend, relu, params.engine()))
            result += [(run, run()), (add, add())]
        x = d.activation.dequantize()
        result.append(
            (lambda x=x: op(f"{name}_dynamic")(x, params), op(f"{name}_dynamic")(x, params))
        )
    unpack = op(f"{name}_unpack")
    result.append((lambda: unpack(params)[0].int_repr(), unpack(params)[0].int_repr()))
    return result


@on_engines(CASES)
def test_threads_get_what_one_thread_gets(case: ConvCase, engine: str) -> None:
    expected = calls(case, engine)
    deadline = time.monotonic() + SECONDS / len(CASES)

    def work(seed: int) -> int:
        chooser = random.Random(seed)
        done = 0
        while time.monotonic() < deadline or done < len(expected):
            call, result = chooser.choice(expected)
            assert torch.equal(call(), result)
            done += 1
        return done

    with ThreadPoolExecutor(THREADS) as pool:
        runs = list(pool.map(work, range(THREADS)))
    assert min(runs) >= len(expected)
