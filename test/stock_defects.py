"""Shapes that PyTorch's own engines refuse, or must not run in a test's process.

docs/fbgemm.md and docs/qnnpack.md tell the causes.
"""

from conv_case import ConvCase


def can_run(case: ConvCase, engine: str) -> bool:
    """Whether stock's engine can be compared with: it takes the case and leaves memory alone."""
    per_channel_transposed = case.transposed and case.per_channel
    if engine in ("fbgemm", "x86"):  # x86 hands a part of its cases to fbgemm
        return not per_channel_transposed and not corrupts_memory(case)
    if engine == "qnnpack":
        # Reads past the scales of all groups but the first.
        past_scales = per_channel_transposed and case.groups > 1
        return not past_scales and not (case.transposed and case.dims == 3)
    return True


def corrupts_memory(case: ConvCase) -> bool:
    """Whether stock's fbgemm engine may corrupt the heap on this case."""
    return _groups_left_over(case) or _output_below_reach(case) or _large_first_layer(case)


def _groups_left_over(case: ConvCase) -> bool:
    """Groupwise kernel: 2 or 4 channels a group, 8 or 4 groups at once, and groups left over."""
    width = case.in_channels // case.groups
    at_once = {2: 8, 4: 4}.get(width, 1)
    return (
        case.dims > 1
        and not case.transposed
        and case.in_channels == case.out_channels
        and case.groups >= at_once
        and case.groups % at_once != 0
        and all(k == 3 for k in case.kernel)
        and all(p == 1 for p in case.padding)
    )


def _output_below_reach(case: ConvCase) -> bool:
    """3-D depthwise kernel: an output smaller than the padding."""
    sizes = zip(case.output_size, case.kernel, strict=True)
    return (
        case.dims == 3
        and not case.transposed
        and case.in_channels == case.groups > 1
        and any(size < kernel // 2 for size, kernel in sizes)
    )


def _large_first_layer(case: ConvCase) -> bool:
    """im2col for 3 channels and stride 2: more than 256 weights per output channel."""
    return (
        case.dims == 2
        and not case.transposed
        and case.in_channels == 3
        and case.groups == 1
        and case.stride == (2, 2)
        and case.dilation == (1, 1)
        and case.kernel[0] * case.kernel[1] * 3 > 256
    )
