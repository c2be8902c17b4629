"""Write golden_bytes.h: whole packed buffers, made from docs/packed_format.md and nothing else.

    python test/native/golden_bytes.py > test/native/golden_bytes.h

It shares no code with the C++ that it is compared with, and goes weight by weight.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import ceil, gcd, prod

MAGIC = b"\x89QCONV\r\n"
Kernel = tuple[int, int, int]


@dataclass(frozen=True)
class Case:
    """A convolution whose weights, scales, zero points and bias follow from formulas."""

    name: str
    in_channels: int
    out_channels: int
    kernel: Kernel
    groups: int = 1
    dims: int = 2
    transposed: bool = False
    stride: Kernel = (1, 1, 1)
    dilation: Kernel = (1, 1, 1)
    scales: tuple[float, ...] = (0.5,)
    zero_points: tuple[int, ...] = (0,)
    bias: bool = False
    sparse: int = 1  # only every so many weights differ from 0

    def weight(self, index: int) -> int:
        """Weight number ``index`` in contiguous order."""
        return (index * 37 + 11) % 256 - 128 if index % self.sparse == 0 else 0

    @property
    def packed_groups(self) -> int:
        """How many there are when as many as fill a block of 16 are put together."""
        ic, oc = self.in_channels // self.groups, self.out_channels // self.groups
        if has_grouped_layout(self, self.groups):
            return self.groups
        if ic == oc == 1 or self.out_channels * ic * prod(self.kernel) > 65536:
            return self.groups
        together = [n for n in range(1, self.groups + 1) if self.groups % n == 0 and n * oc <= 16]
        return self.groups // max(together, default=1)

    def zero_point(self, channel: int) -> int:
        return self.zero_points[channel if len(self.zero_points) > 1 else 0]


def has_grouped_layout(case: Case, groups: int) -> bool:
    """Whether blocks follow each other across so many groups."""
    ic, oc = case.in_channels // groups, case.out_channels // groups
    if case.transposed or groups == 1 or ic % 4 or ic > 16 or 16 % oc:
        return False
    return (16 // oc - 1) * ic + 4 <= 16


CASES = [
    Case("pointwise", 5, 3, (1, 1, 1), bias=True),
    Case("two_k_blocks", 68, 2, (1, 1, 1), scales=(0.1, 0.25)),
    Case("folded_first_layer", 3, 2, (1, 7, 7), zero_points=(-3,)),
    Case("folded_width", 6, 17, (1, 2, 3), scales=tuple(0.25 + i for i in range(17))),
    Case("dilated", 2, 1, (1, 2, 2), dilation=(1, 1, 2)),
    Case("depthwise", 18, 18, (1, 2, 3), groups=18, zero_points=(5, 0) * 9, bias=True),
    Case("groups", 4, 6, (1, 1, 2), groups=2, zero_points=(0,) * 6),
    Case("small_groups", 12, 24, (1, 2, 3), groups=6, bias=True),
    Case("uneven_groups", 9, 21, (1, 1, 2), groups=3, zero_points=tuple(range(-10, 11))),
    Case("grouped", 20, 20, (1, 2, 3), groups=5, zero_points=(7, 0) * 10, bias=True),
    Case("grouped_by_8", 24, 16, (1, 1, 2), groups=2, scales=tuple(0.5 + i for i in range(16))),
    Case("grouped_by_16", 16, 32, (2, 1, 2), dims=3, groups=2, dilation=(1, 1, 3)),
    Case("grouped_together", 32, 32, (1, 1, 3), groups=16, zero_points=(0, -4) * 16),
    Case("one_dimension", 1, 1, (1, 1, 3), dims=1),
    Case("three_dimensions", 2, 1, (2, 2, 2), dims=3),
    Case("narrow_last_block", 4096, 18, (1, 1, 1), sparse=1021),
    Case("up_2x2", 6, 5, (1, 2, 2), transposed=True, stride=(1, 2, 2), bias=True),
    Case(
        "up_3x3",
        *(3, 17, (1, 3, 3)),
        transposed=True,
        stride=(1, 2, 2),
        zero_points=(1, -2) * 8 + (3,),
    ),
    Case("up_dilated", 4, 2, (1, 3, 4), transposed=True, stride=(1, 2, 3), dilation=(1, 2, 2)),
    Case("up_groups", 4, 6, (1, 1, 4), groups=2, transposed=True, stride=(1, 1, 2)),
    Case("up_depthwise", 18, 18, (1, 3, 2), groups=18, transposed=True, stride=(1, 2, 2)),
    Case("up_three_dimensions", 2, 1, (3, 2, 2), dims=3, transposed=True, stride=(2, 2, 1)),
    Case("up_far_apart", 1, 1, (1, 1, 2), dims=1, transposed=True, stride=(1, 1, 5)),
]


@dataclass(frozen=True)
class Layout:
    """What the format's rules make of a convolution."""

    kind: int  # 1 dense, 2 depthwise, 3 grouped
    folds: bool
    rows: int
    taps: int
    depth: int
    k_blocks: int
    quads: int
    last_columns: int


def round_up(value: int, multiple: int) -> int:
    return ceil(value / multiple) * multiple


@dataclass(frozen=True)
class Phase:
    """The kernel's places that a phase holds in each dimension, in its order."""

    taps: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]

    @property
    def kernel(self) -> Kernel:
        depth, height, width = (len(taps) for taps in self.taps)
        return depth, height, width


def phases_in_dimension(kernel: int, stride: int, dilation: int) -> list[tuple[int, ...]]:
    """Taps with one tap * dilation modulo the stride, the last first; by their first tap."""
    phases: dict[int, list[int]] = {}
    for tap in range(kernel):
        phases.setdefault(tap * dilation % stride, []).insert(0, tap)
    return [tuple(taps) for taps in phases.values()]


def phases_of(case: Case) -> list[Phase]:
    if not case.transposed:
        depth, height, width = (tuple(range(size)) for size in case.kernel)
        return [Phase((depth, height, width))]
    dimensions = zip(case.kernel, case.stride, case.dilation, strict=True)
    return [Phase(taps) for taps in product(*(phases_in_dimension(*d) for d in dimensions))]


def folds_width(case: Case) -> bool:
    """Decided by the first phase, for all of them."""
    ic, kw = case.in_channels // case.packed_groups, phases_of(case)[0].kernel[2]
    # Inputs from a tap to the next.
    step = case.dilation[2] // (gcd(case.stride[2], case.dilation[2]) if case.transposed else 1)
    return step == 1 and kw > 1 and kw * ceil(ic / 64) > ceil(kw * ic / 64)


def layout_of(case: Case, phase: Phase) -> Layout:
    ic, oc = case.in_channels // case.packed_groups, case.out_channels // case.packed_groups
    kd, kh, kw = phase.kernel
    if case.groups > 1 and ic == oc == 1:
        return Layout(2, False, 1, kd * kh * kw, 1, 1, 1, 16)
    if has_grouped_layout(case, case.packed_groups):
        return Layout(3, False, 1, kd * kh * kw, ic, 1, ic // 4, 16)
    folds = folds_width(case)
    rows = 1
    if folds and ic <= 4 and case.dilation[1] == 1 and not case.transposed:
        steps = ceil(kh * kw * ic / 64)
        rows = max(1, min(ceil(kh / steps), 64 // (kw * ic)))
    taps = kd * ceil(kh / rows) * (1 if folds else kw)
    depth = (kw if folds else 1) * rows * ic
    k_blocks = ceil(depth / 64)
    quads = ceil(ceil(depth / 4) / k_blocks)
    narrow = oc % 16 != 0 and case.out_channels * ic * prod(case.kernel) >= 65536
    last_columns = round_up(oc % 16, 4) if narrow else 16
    return Layout(1, folds, rows, taps, depth, k_blocks, quads, last_columns)


def weight_at(case: Case, o: int, i: int, place: Kernel) -> int:
    """The weight of an output channel and an input channel of its packed group."""
    ic, oc = case.in_channels // case.groups, case.out_channels // case.groups
    packed_group = o // (case.out_channels // case.packed_groups)
    channel = packed_group * (case.in_channels // case.packed_groups) + i
    if channel // ic != o // oc:
        return case.zero_point(o)
    i = channel % ic
    # Its number in contiguous order.
    pair = (o // oc * ic + i) * oc + o % oc if case.transposed else o * ic + i
    kd, kh, kw = case.kernel
    return case.weight(((pair * kd + place[0]) * kh + place[1]) * kw + place[2])


def weight_places(case: Case, phase: Phase, layout: Layout) -> Iterator[tuple[int, int, int]]:
    """For every weight of a phase: its output channel, its value, its byte in the phase."""
    ic, oc = case.in_channels // case.packed_groups, case.out_channels // case.packed_groups
    kd, kh, kw = phase.kernel
    blocks = ceil(oc / 16)
    quad_rows = layout.taps * layout.k_blocks * layout.quads  # quads of one output channel
    group_bytes = quad_rows * 4 * (16 * (blocks - 1) + layout.last_columns)
    for o in range(case.out_channels):
        for i in range(ic):
            for d in range(kd):
                for h in range(kh):
                    for w in range(kw):
                        place = (phase.taps[0][d], phase.taps[1][h], phase.taps[2][w])
                        value = weight_at(case, o, i, place)
                        if layout.kind == 2:
                            tap = (d * kh + h) * kw + w
                            yield o, value, tap * round_up(case.out_channels, 16) + o
                            continue
                        tap = d * ceil(kh / layout.rows) + h // layout.rows
                        k = h % layout.rows * ic + i
                        if layout.folds:
                            k += w * layout.rows * ic
                        else:
                            tap = tap * kw + w
                        group, block, column = o // oc, o % oc // 16, o % oc % 16
                        if layout.kind == 3:
                            group, block, column = 0, o // 16, o % 16
                        columns = (
                            16 if layout.kind == 3 or block < blocks - 1 else layout.last_columns
                        )
                        quad = tap * layout.k_blocks * layout.quads + k // 4
                        start = group * group_bytes + block * quad_rows * 4 * 16
                        yield o, value, start + (quad * columns + column) * 4 + k % 4


def phase_section(case: Case, phase: Phase) -> tuple[bytes, bytes]:
    """A phase's weights in their order, and their column sums."""
    layout = layout_of(case, phase)
    if layout.kind == 2:
        size = layout.taps * round_up(case.out_channels, 16)
    elif layout.kind == 3:
        size = ceil(case.out_channels / 16) * layout.taps * layout.quads * 64
    else:
        oc = case.out_channels // case.packed_groups
        columns = 16 * (ceil(oc / 16) - 1) + layout.last_columns
        size = case.packed_groups * layout.taps * layout.k_blocks * layout.quads * 4 * columns
    section = bytearray(size)
    sums = [0] * case.out_channels
    for channel, value, place in weight_places(case, phase, layout):
        section[place] = value & 0xFF
        sums[channel] += value
    return bytes(section), struct.pack(f"<{len(sums)}i", *sums)


def weight_section(case: Case) -> tuple[bytes, bytes]:
    """All phases' weights, and the column sums."""
    weights, sums = zip(*(phase_section(case, phase) for phase in phases_of(case)), strict=True)
    return b"".join(weights), b"".join(sums)


def fits_float32(value: float) -> bool:
    return bool(struct.unpack("<f", struct.pack("<f", value))[0] == value)


def checksum(data: bytes) -> int:
    mask = 2**64 - 1
    words = struct.unpack(f"<{len(data) // 4}I", data)
    result = len(data)
    for lane in range(16):
        total = total_of_totals = 0
        for word in words[lane::16]:
            total = (total + word) & mask
            total_of_totals = (total_of_totals + total) & mask
        for number in (total, total_of_totals):
            result = ((result ^ number) * 0x9E3779B97F4A7C15) & mask
            result ^= result >> 32
    return result


def packed(case: Case) -> bytes:
    """The whole buffer."""
    layout = layout_of(case, phases_of(case)[0])
    weights, sums = weight_section(case)
    single = all(fits_float32(scale) for scale in case.scales)
    scales = struct.pack(f"<{len(case.scales)}{'f' if single else 'd'}", *case.scales)
    points = case.zero_points if any(case.zero_points) else ()
    bias = [channel / 4 - 1 for channel in range(case.out_channels)] if case.bias else []
    sections = [
        weights + bytes(64),
        scales,
        struct.pack(f"<{len(points)}i", *points),
        sums,
        struct.pack(f"<{len(bias)}f", *bias),
    ]
    flags = (
        1 * case.transposed
        + 2 * layout.folds
        + 4 * (len(case.scales) > 1)
        + 8 * (not single)
        + 16 * (len(case.zero_points) > 1)
        + 32 * bool(points)
        + 64 * case.bias
    )
    body, entries = b"", []
    for number, section in enumerate(sections):
        size = len(section) - (64 if number == 0 else 0)
        entries += [256 + len(body), size] if section else [0, 0]
        body += section + bytes(-len(section) % 64)
    numbers = [
        *(flags, case.dims, case.in_channels, case.out_channels, case.groups),
        *case.kernel,
        *case.stride,
        *(0, 0, 0),  # padding
        *(0, 0, 0),  # output_padding
        *case.dilation,
        *(layout.kind, layout.rows, layout.k_blocks, layout.last_columns),
    ]

    def header(value: int) -> bytes:
        start = MAGIC + struct.pack("<IIQQ", 1, 256, 256 + len(body), value)
        return start + struct.pack("<24I10Q", *numbers, *entries) + bytes(48)

    return header(checksum(header(0) + body)) + body


def main() -> None:
    print("// Made by golden_bytes.py; lines of 32 bytes, those that are all 0 left out.")
    print("#pragma once\n")
    print("// clang-format off")
    for case in CASES:
        data = packed(case)
        print(f"constexpr int kSizeOf_{case.name} = {len(data)};")
        print(f"constexpr GoldenLine kLinesOf_{case.name}[] = {{")
        for offset in range(0, len(data), 32):
            line = data[offset : offset + 32]
            if any(line):
                print(f'    {{{offset}, "{line.hex()}"}},')
        print("};\n")
    print("// clang-format on")


if __name__ == "__main__":
    main()
