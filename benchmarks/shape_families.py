"""Families of convolution shapes that libraries run with kernels of their own.

A fault belongs to a kernel, so faults are counted by family. The conditions are those that
FBGEMM applies (its src/FbgemmConv.cc and src/Fbgemm.cc); other libraries draw similar lines.
"""

import math
from collections.abc import Callable

from conv_case import ConvCase


def _is_depthwise_kernel(case: ConvCase) -> bool:
    """The conditions of FBGEMM's depthwise kernels."""
    return (
        not case.transposed
        and case.dims > 1
        and case.groups == case.in_channels
        and case.out_channels in (case.groups, 2 * case.groups)
        and case.groups % 8 == 0
        and set(case.kernel) <= {3, 5, 7}
        and case.kernel[-1] == case.kernel[-2]
        and set(case.stride) <= {1, 2}
        and set(case.dilation) == {1}
        and all(p == k // 2 for p, k in zip(case.padding, case.kernel, strict=True))
    )


def _is_grouped_kernel(case: ConvCase) -> bool:
    """The conditions of FBGEMM's kernels for groups of 2, 4, 8 or 16 channels."""
    return (
        not case.transposed
        and case.dims > 1
        and case.in_channels == case.out_channels
        and case.groups >= _groups_together(case) > 0
        and set(case.kernel) == {3}
        and set(case.padding) == {1}
        and set(case.dilation) == {1}
        and case.stride[-1] == case.stride[-2] <= 2
    )


def _groups_together(case: ConvCase) -> int:
    """Groups that one AVX-512 register of weights holds, as four bytes an input channel block."""
    return {2: 8, 4: 4, 8: 1, 16: 1}.get(case.in_channels // case.groups, 0)


def _is_up_sampling_kernel(case: ConvCase) -> bool:
    """The conditions of FBGEMM's direct transposed convolution."""
    return (
        case.transposed
        and case.dims == 2
        and case.groups == 1
        and case.kernel[0] == 2
        and case.kernel[1] <= 6
        and case.in_channels % 8 == 0
        and case.out_channels % 8 == 0
        and set(case.stride) <= {1, 2}
        and set(case.padding) == {0}
        and set(case.dilation) == {1}
    )


def _is_first_layer_kernel(case: ConvCase, columns: int = 0) -> bool:
    """The conditions of FBGEMM's im2col of its own for the first layer.

    columns: only kernels of more weights than this for each output channel.
    """
    return (
        not case.transposed
        and case.dims == 2
        and case.in_channels == 3
        and case.groups == 1
        and set(case.stride) == {2}
        and set(case.dilation) == {1}
        and all(p == (k - 1) // 2 for p, k in zip(case.padding, case.kernel, strict=True))
        and 3 * math.prod(case.kernel) > columns
    )


def _is_small_output(case: ConvCase) -> bool:
    return any(o < p for o, p in zip(case.output_size, case.padding, strict=True))


# First match first, from the narrowest conditions to the rest.
FAMILIES: tuple[tuple[str, Callable[[ConvCase], bool]], ...] = (
    ("batch 0", lambda c: c.batch == 0),
    (
        "3-D depthwise, output smaller than padding",
        lambda c: c.dims == 3 and _is_depthwise_kernel(c) and _is_small_output(c),
    ),
    (
        "depthwise, over 128 taps, weight zero points",
        lambda c: _is_depthwise_kernel(c) and math.prod(c.kernel) > 128 and c.weight_zero_points,
    ),
    ("depthwise, kernel 3, 5 or 7", _is_depthwise_kernel),
    (
        "3x3, groups of 2 or 4 channels, groups % 8 or 4 not 0",
        lambda c: _is_grouped_kernel(c) and c.groups % _groups_together(c) != 0,
    ),
    ("3x3, groups of 2, 4, 8 or 16 channels", _is_grouped_kernel),
    (
        "transposed, kernel height 2, batch 1, stride height 1",
        lambda c: _is_up_sampling_kernel(c) and c.stride[0] == 1 and c.batch == 1,
    ),
    (
        "transposed, kernel height 2, batch > 1, stride height 1",
        lambda c: _is_up_sampling_kernel(c) and c.stride[0] == 1,
    ),
    ("transposed, kernel height 2, stride height 2", _is_up_sampling_kernel),
    ("transposed, grouped", lambda c: c.transposed and c.groups > 1),
    ("transposed", lambda c: c.transposed),
    # 512 and 256 are the columns that FBGEMM packs at once; AVX-512 without VNNI packs 256.
    ("3 channels, stride 2, kernel area > 170", lambda c: _is_first_layer_kernel(c, 512)),
    ("3 channels, stride 2, kernel area > 85", lambda c: _is_first_layer_kernel(c, 256)),
    ("3 channels, stride 2", _is_first_layer_kernel),
    ("pointwise", lambda c: set(c.kernel) == {1} and set(c.stride) == {1}),
    ("grouped", lambda c: c.groups > 1),
    ("other", lambda c: True),
)


def family(case: ConvCase, check: str) -> str:
    """The family whose kernel ran: `again` runs a batch of 0 with one image."""
    case = case if check in ("run", "relu") else case.but(batch=max(case.batch, 1))
    return next(name for name, matches in FAMILIES if matches(case))
