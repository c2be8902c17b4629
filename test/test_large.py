"""Large images, batches, channel counts and kernels, and tensors of more than 2^31 bytes.

The reference computes some windows of the output: the corners, where offsets are the largest, and
one in the middle, each from the part of the activation that it reads.
"""

import math
import os
from collections.abc import Iterator

import pytest
import torch
from comparison import assert_matches
from conv_case import ConvCase, ConvData
from ops import on_engines, pack, run
from reference import quantized_conv
from torch import Tensor

import torch_qconv_prepack as qconv
from torch_qconv_prepack.info import cpu

LARGE = (
    ConvCase("image_4096", input_size=(4096, 4096), in_channels=3, padding=(1,), full_range=True),
    ConvCase("depthwise_4096", input_size=(4096, 4096), groups=8, padding=(1,), stride=(2,)),
    ConvCase("rows_of_1_MB", input_size=(5, 8000), in_channels=128, padding=(1,), full_range=True),
    ConvCase("batch_64", batch=64, in_channels=64, out_channels=64, input_size=(28,), padding=(1,)),
    ConvCase("channels_4096", in_channels=4096, out_channels=4096, input_size=(8,), kernel=(1,)),
    ConvCase("kernel_31", in_channels=16, input_size=(70,), kernel=(31,), padding=(15,)),
    ConvCase("kernel_31_dilated", input_size=(180,), kernel=(31,), dilation=(5,), padding=(60,)),
    ConvCase(
        "kernel_31_depthwise",
        in_channels=64,
        out_channels=64,
        groups=64,
        input_size=(70,),
        kernel=(31,),
        padding=(15,),
    ),
    ConvCase("length_2_million", dims=1, in_channels=8, input_size=(2_000_003,), padding=(1,)),
    ConvCase("transposed_4096", transposed=True, input_size=(2048, 2048), kernel=(2,), stride=(2,)),
)

# Read where it lies, with sums of activations. Not every engine takes weight zero points.
SUMMED = ConvCase(
    "length_500_thousand_weight_zero_points",
    dims=1,
    in_channels=64,
    input_size=(500_003,),
    weight_zero_points=True,
)

# More than 2^31 bytes of activation, or of output.
BEYOND_2_31 = (
    ConvCase("activation", input_size=(16400, 16400), kernel=(3,), stride=(16,), padding=(1,)),
    ConvCase("output", input_size=(8200, 8200), in_channels=1, out_channels=32, kernel=(1,)),
    ConvCase("batch", batch=300, in_channels=64, input_size=(340,), kernel=(1,), stride=(4,)),
    ConvCase(
        "transposed", transposed=True, input_size=(8200, 8200), kernel=(2,), stride=(2,), bias=False
    ),
)

WINDOW = 4  # output pixels on each side


def small(case: ConvCase) -> ConvData:
    """The case's weight, bias and quantization, from an input that the reference can handle."""
    reach = max(d * (k - 1) + 1 for d, k in zip(case.dilation, case.kernel, strict=True))
    return case.but(batch=1, input_size=(reach + 4,)).data()


def activation(case: ConvCase, scale: float, zero_point: int) -> Tensor:
    """Of the full size, channels last, from bytes that repeat at a distance no size is near."""
    size = (case.batch, *case.input_size, case.in_channels)
    generator = torch.Generator().manual_seed(case.seed)
    high = 256 if case.full_range else 128
    some = torch.randint(0, high, (999_983,), generator=generator, dtype=torch.uint8)
    count = math.prod(size)
    values = some.repeat(-(-count // len(some)))[:count].reshape(size)
    # Of quantized memory, so that nothing is copied into another order.
    return torch._make_per_tensor_quantized_tensor(values, scale, zero_point).movedim(-1, 1)


def windows(case: ConvCase) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Images and first output pixels."""
    ends = tuple(max(size - WINDOW, 0) for size in case.output_size)
    align = case.stride if case.transposed else (1,) * case.dims
    for image, place in ((0, 0.0), (case.batch // 2, 0.5), (case.batch - 1, 1.0)):
        yield image, tuple(int(e * place) // a * a for e, a in zip(ends, align, strict=True))


def part_read(case: ConvCase, x: Tensor, image: int, first: tuple[int, ...]) -> Tensor:
    """What a window reads of the activation, the padding filled in."""
    part = x[image : image + 1]
    pads: list[int] = []
    for i in range(case.dims):
        outputs = min(WINDOW, case.output_size[i] - first[i])
        if case.transposed:  # kernels as large as strides: an input for each
            begin, end = first[i] // case.stride[i], (first[i] + outputs - 1) // case.stride[i] + 1
        else:
            begin = first[i] * case.stride[i] - case.padding[i]
            end = (
                begin + (outputs - 1) * case.stride[i] + case.dilation[i] * (case.kernel[i] - 1) + 1
            )
        size = part.shape[2 + i]
        part = part.narrow(2 + i, max(begin, 0), min(end, size) - max(begin, 0))
        pads = [max(-begin, 0), max(end - size, 0), *pads]  # the last dimension's come first
    values = torch.nn.functional.pad(part.int_repr(), pads, value=x.q_zero_point())
    return torch._make_per_tensor_quantized_tensor(values, x.q_scale(), x.q_zero_point())


def check(case: ConvCase, engine: str) -> None:
    some = small(case)
    x = activation(case, some.activation.q_scale(), some.activation.q_zero_point())
    data = ConvData(
        x, some.weight, some.bias, case.geometry, some.output_scale, some.output_zero_point
    )
    result = run(data, pack(data, engine))
    assert tuple(result.shape[2:]) == case.output_size
    geometry = case.but(padding=(0,)).geometry
    for image, first in windows(case):
        expected = quantized_conv(
            part_read(case, x, image, first),
            data.weight,
            data.bias,
            geometry,
            data.output_scale,
            data.output_zero_point,
            False,
            engine,
        )
        actual = result[image : image + 1]
        for i, begin in enumerate(first):
            actual = actual.narrow(2 + i, begin, min(WINDOW, case.output_size[i] - begin))
        assert_matches(actual, expected)


@on_engines(LARGE)
def test_large_sizes(case: ConvCase, engine: str) -> None:
    check(case, engine)


def free_bytes() -> int:
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@on_engines(BEYOND_2_31)
@pytest.mark.xdist_group("large")
def test_tensors_of_more_than_2_31_bytes(case: ConvCase, engine: str) -> None:
    if engine != "native" and "QCONV_LARGE" not in os.environ:
        pytest.skip("takes half a minute; set QCONV_LARGE=1 for engines other than native")
    if free_bytes() < 9 << 30:
        pytest.skip("needs 9 GB of free memory")
    check(case, engine)


@pytest.mark.parametrize(
    "case",
    [SUMMED, *(c for c in LARGE if "kernel_31" not in c.name)],
    ids=lambda case: case.name,
)
def test_scratch_is_bounded_and_released(case: ConvCase) -> None:
    """Of each thread, 256 KB for what it reads (512 KB with AMX) and 64 KB for sums, and a quarter
    more for growth; beside them tables with a few numbers for each channel."""
    qconv.release_scratch()
    check(case, "native")
    window = (512 if cpu.cpu_features()["amx_int8"] else 256) << 10
    each = 5 / 4 * (window + (64 << 10)) + 64 * (case.in_channels + case.out_channels)
    assert 0 <= qconv.release_scratch() <= torch.get_num_threads() * each
    assert qconv.release_scratch() == 0
