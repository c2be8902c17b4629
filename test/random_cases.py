"""Seeded random convolutions, over a space far wider than the table's.

`random_case` draws every property by itself. `special_case` keeps to the families of shapes that
libraries have kernels of their own for, which independent draws seldom hit.
"""

import random
from collections.abc import Callable
from typing import Any

from conv_case import ConvCase
from reference import Ints

# Multiplications of one case: a few milliseconds in float64.
_BUDGET = 4_000_000


def random_case(seed: int) -> ConvCase:
    """A valid case; the same seed gives the same case on every machine."""
    return _first_valid(_draw, seed)


def special_case(seed: int) -> ConvCase:
    """A valid case of a family that libraries treat apart, with the conditions met exactly."""
    families = (_depthwise, _grouped, _pointwise, _up_sampling, _first_layer)
    return _first_valid(families[seed % len(families)], seed)


def _first_valid(draw: Callable[[random.Random, int], ConvCase], seed: int) -> ConvCase:
    rng = random.Random(seed)
    while True:
        try:
            case = draw(rng, seed)
        except ValueError:  # The kernel does not fit into the input: draw again.
            continue
        if case.multiplications <= _BUDGET:
            return case


def _quantization(rng: random.Random, seed: int) -> dict[str, Any]:
    return {
        "batch": rng.choices((0, 1, 2, 3, 5), weights=(1, 60, 20, 10, 5))[0],
        "per_channel": rng.random() < 0.5,
        "weight_zero_points": rng.random() < 0.4,
        "bias": rng.random() < 0.8,
        "full_range": rng.random() < 0.5,
        "seed": seed,
    }


def _depthwise(rng: random.Random, seed: int) -> ConvCase:
    dims = rng.choice((2, 3))
    channels = 8 * rng.randint(1, 12) + rng.choice((0, 0, 0, 1, 4))
    side = rng.choice((3, 3, 5, 7))
    kernel = (rng.choice((3, 5, 7)), side, side)[-dims:]
    return ConvCase(
        f"depthwise-{seed}",
        dims=dims,
        in_channels=channels,
        out_channels=channels * rng.choice((1, 1, 2)),
        groups=channels,
        kernel=kernel,
        padding=tuple(k // 2 for k in kernel),
        stride=_per_dim(rng, dims, (1, 2)),
        input_size=_size(rng, dims),
        **_quantization(rng, seed),
    )


def _grouped(rng: random.Random, seed: int) -> ConvCase:
    dims = rng.choice((2, 2, 3))
    width, groups = rng.choice((2, 4, 8, 16)), rng.randint(1, 20)
    stride = rng.choice((1, 2))
    return ConvCase(
        f"grouped-{seed}",
        dims=dims,
        in_channels=width * groups,
        out_channels=width * groups,
        groups=groups,
        padding=(1,),
        stride=(rng.choice((1, 2, 3)), stride, stride)[-dims:],
        input_size=_size(rng, dims),
        **_quantization(rng, seed),
    )


def _pointwise(rng: random.Random, seed: int) -> ConvCase:
    dims = rng.choice((1, 2, 2, 3))
    groups = rng.choice((1, 1, 1, 2, 3, 8))
    return ConvCase(
        f"pointwise-{seed}",
        dims=dims,
        in_channels=groups * rng.randint(1, 80),
        out_channels=groups * rng.randint(1, 80),
        groups=groups,
        kernel=(1,),
        input_size=_size(rng, dims),
        **_quantization(rng, seed),
    )


def _up_sampling(rng: random.Random, seed: int) -> ConvCase:
    dims = rng.choice((1, 2, 2, 2, 3))
    width = rng.choice((1, 8, 8))
    return ConvCase(
        f"up-sampling-{seed}",
        dims=dims,
        transposed=True,
        in_channels=width * rng.randint(1, 8),
        out_channels=width * rng.randint(1, 8),
        kernel=(2, rng.randint(1, 7)) if dims == 2 else (2,),
        stride=_per_dim(rng, dims, (1, 2)),
        input_size=_size(rng, dims),
        **_quantization(rng, seed),
    )


def _first_layer(rng: random.Random, seed: int) -> ConvCase:
    side = rng.choice((3, 5, 7, 11, 13, 15, 17))
    return ConvCase(
        f"first-layer-{seed}",
        in_channels=rng.choice((1, 3, 3, 3, 4)),
        out_channels=rng.randint(1, 40),
        kernel=(side,),
        padding=((side - 1) // 2,),
        stride=(2,),
        input_size=(rng.randint(1, 40), rng.randint(1, 40)),
        **_quantization(rng, seed),
    )


def _size(rng: random.Random, dims: int) -> Ints:
    largest = (70, 16, 8)[dims - 1]
    return tuple(rng.randint(1, largest) for _ in range(dims))


def _draw(rng: random.Random, seed: int) -> ConvCase:
    dims = rng.choices((1, 2, 3), weights=(2, 6, 2))[0]
    transposed = rng.random() < 0.4
    groups, in_channels, out_channels = _channels(rng)
    kernel = _kernel(rng, dims)
    stride = _per_dim(rng, dims, (1, 1, 1, 2, 2, 3, 4))
    dilation = _per_dim(rng, dims, (1, 1, 1, 1, 2, 3))
    if rng.random() < 0.5:  # Keep the size, as most networks do.
        padding = tuple(d * (k - 1) // 2 for d, k in zip(dilation, kernel, strict=True))
    else:
        padding = _per_dim(rng, dims, (0, 0, 0, 1, 2, 3, 5))
    output_padding: Ints = (0,) * dims
    if transposed and rng.random() < 0.4:
        # Float convolution takes no more than this either.
        most = [max(s, d) - 1 for s, d in zip(stride, dilation, strict=True)]
        output_padding = tuple(rng.randint(0, m) for m in most)
    return ConvCase(
        f"random-{seed}",
        dims=dims,
        transposed=transposed,
        in_channels=in_channels,
        out_channels=out_channels,
        input_size=_size(rng, dims),
        kernel=kernel,
        stride=stride,
        padding=padding,
        output_padding=output_padding,
        dilation=dilation,
        groups=groups,
        **_quantization(rng, seed),
    )


def _channels(rng: random.Random) -> tuple[int, int, int]:
    """Groups, input channels and output channels; whole blocks of 8 as often as odd counts."""
    kind = rng.choice(("full", "full", "depthwise", "depthwise", "grouped", "grouped", "narrow"))
    if kind == "depthwise":
        groups = 8 * rng.randint(1, 8) if rng.random() < 0.7 else rng.randint(1, 70)
        return groups, groups, groups * rng.choice((1, 1, 1, 2, 2, 3))
    if kind == "grouped":
        groups = rng.choice((2, 3, 4, 5, 8, 16, 32))
        width = rng.choice((1, 2, 2, 3, 4, 4, 5, 8, 8, 16, 16))
        return groups, groups * width, groups * (width if rng.random() < 0.8 else rng.randint(1, 9))
    if kind == "narrow":
        return 1, rng.randint(1, 4), rng.randint(1, 9)
    return 1, _count(rng), _count(rng)


def _count(rng: random.Random) -> int:
    return 8 * rng.randint(1, 16) if rng.random() < 0.5 else rng.randint(1, 130)


def _kernel(rng: random.Random, dims: int) -> Ints:
    if rng.random() < 0.6:
        return (rng.choice((1, 2, 3, 3, 3, 5, 7)),) * dims
    return _per_dim(rng, dims, (1, 2, 3, 4, 5, 6, 7))


def _per_dim(rng: random.Random, dims: int, choices: Ints) -> Ints:
    if rng.random() < 0.6:
        return (rng.choice(choices),) * dims
    return tuple(rng.choice(choices) for _ in range(dims))
