"""The table of convolutions that every engine is tested on."""

import itertools
from collections.abc import Iterator

from conv_case import ConvCase
from reference import Ints


def _op(dims: int, transposed: bool) -> str:
    return f"conv_transpose{dims}d" if transposed else f"conv{dims}d"


def feature_cases() -> Iterator[ConvCase]:
    """Every combination of the features, on small uneven shapes."""
    switches = (False, True)
    for dims, transposed, per_channel, zero_points, groups, bias in itertools.product(
        (1, 2, 3), switches, switches, switches, (1, 2), switches
    ):
        features = [
            _op(dims, transposed),
            "per_channel" if per_channel else "per_tensor",
            *(["zero_points"] if zero_points else []),
            *(["groups2"] if groups > 1 else []),
            *([] if bias else ["no_bias"]),
        ]
        yield ConvCase(
            "-".join(features),
            dims=dims,
            transposed=transposed,
            in_channels=6,
            out_channels=10,
            input_size=(7, 5, 4)[:dims],
            kernel=(3, 2, 3)[:dims],
            stride=(2, 1, 1)[:dims],
            padding=(1, 0, 1)[:dims],
            per_channel=per_channel,
            weight_zero_points=zero_points,
            groups=groups,
            bias=bias,
        )


def channel_edge_cases() -> Iterator[ConvCase]:
    """Channel counts one below, at and one above each block size of a kernel."""
    for block, offset, transposed in itertools.product((8, 16, 32, 64), (-1, 0, 1), (False, True)):
        n = block + offset
        for in_channels, out_channels in ((n, 5), (5, n), (n, n)):
            yield ConvCase(
                f"{_op(2, transposed)}-channels-{in_channels}-{out_channels}",
                transposed=transposed,
                in_channels=in_channels,
                out_channels=out_channels,
                padding=(1,),
                per_channel=True,
                weight_zero_points=offset == 1,
            )
        if not transposed:
            yield ConvCase(
                f"conv2d-pointwise-{n}", in_channels=n, out_channels=n, kernel=(1,), full_range=True
            )


def depthwise_cases() -> Iterator[ConvCase]:
    """One input channel per group, one or two output channels."""
    kernels: tuple[Ints, ...] = ((3, 3), (5, 5), (7, 7), (3, 3, 3), (5, 5, 5))
    for kernel, channels, stride, multiplier in itertools.product(
        kernels, (8, 16, 33), (1, 2), (1, 2)
    ):
        for full_range in (False, True):
            sizes = "x".join(map(str, kernel))
            range_name = "-full_range" if full_range else ""
            yield ConvCase(
                f"depthwise-{sizes}-channels{channels}-stride{stride}-x{multiplier}{range_name}",
                dims=len(kernel),
                in_channels=channels,
                out_channels=channels * multiplier,
                groups=channels,
                kernel=kernel,
                stride=(stride,),
                padding=tuple(k // 2 for k in kernel),
                per_channel=multiplier == 1,
                weight_zero_points=channels == 16,
                full_range=full_range,
            )


def group_cases() -> Iterator[ConvCase]:
    """A few channels per group, which kernels treat apart from full convolutions."""
    for width, groups, stride, transposed in itertools.product(
        (2, 4, 8, 16), (3, 8), (1, 2), (False, True)
    ):
        yield ConvCase(
            f"{_op(2, transposed)}-{groups}-groups-of-{width}-stride{stride}",
            transposed=transposed,
            in_channels=width * groups,
            out_channels=width * groups,
            groups=groups,
            stride=(stride,),
            padding=(1,),
            per_channel=True,
            full_range=True,
        )


def shape_cases() -> Iterator[ConvCase]:
    """Kernels, strides, sizes and batches beyond the ordinary."""
    for transposed in (False, True):
        op = _op(2, transposed)
        base = ConvCase(op, transposed=transposed, in_channels=5, out_channels=7, per_channel=True)
        yield base.but(name=f"{op}-pointwise", kernel=(1,))
        yield base.but(name=f"{op}-pointwise-stride2", kernel=(1,), stride=(2,))
        yield base.but(name=f"{op}-dilation2", dilation=(2,), padding=(2,))
        yield base.but(name=f"{op}-uneven-dilation", dilation=(1, 3), input_size=(5, 8))
        yield base.but(name=f"{op}-stride-above-kernel", kernel=(2,), stride=(3,), input_size=(7,))
        yield base.but(name=f"{op}-wide-padding", kernel=(2,), padding=(3,), input_size=(9,))
        yield base.but(name=f"{op}-kernel-above-input", kernel=(5,), padding=(2,), input_size=(3,))
        yield base.but(name=f"{op}-one-pixel", kernel=(3,), padding=(1,), input_size=(1,))
        yield base.but(name=f"{op}-large-kernel", kernel=(7,), padding=(3,), input_size=(9,))
        yield base.but(name=f"{op}-non-square", kernel=(3, 1), stride=(1, 2), input_size=(4, 11))
        yield base.but(name=f"{op}-wide", kernel=(1, 3), padding=(0, 1), input_size=(2, 65))
        yield base.but(name=f"{op}-one-channel", in_channels=1, out_channels=1)
        yield base.but(name=f"{op}-batch3", batch=3)
        yield base.but(name=f"{op}-batch0", batch=0)
        yield base.but(name=f"{op}-full_range", in_channels=64, full_range=True)
        zero_points = {"full_range": True, "weight_zero_points": True}
        yield base.but(name=f"{op}-full_range-zero_points", in_channels=64, **zero_points)
    for dims in (1, 2, 3):
        up = ConvCase("up", dims=dims, transposed=True, input_size=(4,), kernel=(2,), stride=(2,))
        op = _op(dims, True)
        for in_channels, out_channels in ((8, 8), (16, 8), (12, 6)):
            channels = {"in_channels": in_channels, "out_channels": out_channels}
            yield up.but(name=f"{op}-up-sampling-{in_channels}-{out_channels}", **channels)
        yield up.but(name=f"{op}-output_padding1", kernel=(3,), output_padding=(1,))
        yield up.but(name=f"{op}-output_padding1-groups", output_padding=(1,), groups=4)


CASES: tuple[ConvCase, ...] = (
    *feature_cases(),
    *channel_edge_cases(),
    *depthwise_cases(),
    *group_cases(),
    *shape_cases(),
)
