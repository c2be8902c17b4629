"""Packed objects serve any number of threads, and every number of threads gives the same result."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from comparison import assert_matches
from conv_case import ConvCase, ConvData
from ops import kind, on_engines, op, pack, run

CASES = (
    ConvCase("dense", in_channels=32, out_channels=24, padding=(1,), per_channel=True),
    ConvCase("depthwise", in_channels=32, out_channels=32, groups=32, padding=(1,)),
    ConvCase("exact", in_channels=32, out_channels=32, groups=32, padding=(1,), full_range=True),
    ConvCase("groupwise", in_channels=32, out_channels=32, groups=8, padding=(1,)),
    ConvCase("transposed", transposed=True, in_channels=16, out_channels=8, stride=(2,)),
)


def variants(case: ConvCase) -> list[ConvData]:
    """Other sizes, scales and zero points for one packed object."""
    first = case.data()
    result = []
    for seed, size in enumerate([(6, 6), (9, 4), (13, 11), (3, 17)]):
        x = case.but(seed=seed, input_size=size, batch=1 + seed % 2).data().activation
        x = torch._make_per_tensor_quantized_tensor(x.int_repr(), 0.02 + 0.01 * seed, 40 * seed)
        result.append(
            ConvData(
                x, first.weight, first.bias, first.geometry, first.output_scale, 100 + 5 * seed
            )
        )
    return result


@on_engines(CASES)
def test_eight_threads_share_one_object(case: ConvCase, engine: str) -> None:
    data = variants(case)
    params = pack(data[0], engine)
    expected = [(d.expected(engine=engine), d.expected(relu=True, engine=engine)) for d in data]

    def work(thread: int) -> None:
        name = "conv_transpose2d" if case.transposed else "conv2d"
        for i in range(12):
            index = (thread + i) % len(data)
            d, (plain, relu) = data[index], expected[index]
            assert_matches(run(d, params), plain)
            assert_matches(run(d, params, "_relu"), relu)
            # The float output makes its own form of the weight at the first need.
            op(f"{name}_dynamic")(d.activation.dequantize(), params)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))


@on_engines(CASES)
def test_the_number_of_threads_changes_nothing(case: ConvCase, engine: str) -> None:
    data = case.but(input_size=(23, 19), batch=3).data()
    params = pack(data, engine)
    dynamic, x = op(f"{kind(case.dims, case.transposed)}_dynamic"), data.activation.dequantize()
    before = torch.get_num_threads()
    results, real = [], []
    try:
        for threads in (1, 2, 3, 8):
            torch.set_num_threads(threads)
            results.append(run(data, params).int_repr())
            real.append(dynamic(x, params))
    finally:
        torch.set_num_threads(before)
    assert_matches(results[0], data.expected(engine=engine))
    assert all(torch.equal(result, results[0]) for result in results[1:])
    assert all(torch.equal(result, real[0]) for result in real[1:])


# Prints the share of the CPU time of some runs that other threads than the calling one took.
SHARE_OF_OTHER_THREADS = """
import os
import torch
from conv_case import ConvCase
from ops import pack, run

def ticks():
    stats = {}
    for task in os.listdir("/proc/self/task"):
        fields = open(f"/proc/self/task/{task}/stat").read().rsplit(")", 1)[1].split()
        stats[int(task)] = int(fields[11]) + int(fields[12])
    return stats

data = ConvCase("", in_channels=64, out_channels=64, padding=(1,), input_size=(96, 96)).data()
params = pack(data, "native")
torch.set_num_threads(2)
before = ticks()
for _ in range(200):
    run(data, params)
spent = {task: count - before.get(task, 0) for task, count in ticks().items()}
print(1 - spent[os.getpid()] / sum(spent.values()))
"""


@pytest.mark.skipif(
    not sys.platform.startswith("linux") or len(os.sched_getaffinity(0)) < 2,
    reason="needs two CPUs, and Linux to tell threads' times",
)
def test_two_threads_share_the_work() -> None:
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SHARE_OF_OTHER_THREADS],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(result.stdout) > 0.25
