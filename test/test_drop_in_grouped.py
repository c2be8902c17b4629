"""Grouped convolutions as in ResNeXt and ShuffleNet, by PyTorch's ops with drop-in mode on.

They are right on every instruction set of the native engine, and on every other engine.
"""

from __future__ import annotations

from typing import Any

import ops
import pytest
from comparison import assert_matches
from conv_case import ConvCase, ConvData
from native_instruction_sets import AVAILABLE, NAMES, held_to
from sums import addend_of, expected_sum

import torch_qconv_prepack as qconv

# ResNeXt: 3x3, as many output as input channels, and groups that don't fill the last vector.
RESNEXT = tuple(
    ConvCase(
        f"resnext-{width}-stride{stride}", in_channels=width * groups, out_channels=width * groups,
        groups=groups, padding=(1,), stride=(stride,), input_size=(9, 11), per_channel=True,
        batch=2, full_range=True, seed=width + stride,
    )
    for width, groups in ((4, 9), (8, 5), (16, 3))
    for stride in (1, 2)
)  # fmt: skip
# ShuffleNet: 1x1 in groups, to more or fewer channels, per tensor, with zero points.
SHUFFLENET = tuple(
    ConvCase(
        f"shufflenet-{width}-{outputs}", in_channels=width * 3, out_channels=outputs * 3, groups=3,
        kernel=(1,), input_size=(7, 5), weight_zero_points=True, bias=False, seed=width,
    )
    for width, outputs in ((4, 16), (8, 20), (16, 6))
)  # fmt: skip
CASES = (*RESNEXT, *SHUFFLENET, RESNEXT[0].but(name="dilated", dilation=(2,), padding=(2,)))


def packed(data: ConvData) -> Any:
    return ops.op("conv2d_prepack", "quantized")(*ops.pack_arguments(data))


def check(data: ConvData, engine: str) -> str:
    """Pack and run with drop-in mode on; return the kernel."""
    with qconv.enabled(engine):
        params = packed(data)
        summary = qconv.describe(params)
        assert summary.engine == engine
        for suffix in ("", "_relu"):
            y = ops.stock_run(data, params, suffix)
            assert_matches(y, data.expected(relu=bool(suffix), engine=engine))
        addend = addend_of(data, seed=1)
        y = ops.op("conv2d_add_relu", "quantized")(
            data.activation, addend, params, data.output_scale, data.output_zero_point
        )
        assert_matches(y, expected_sum(data, addend, True, engine))
    return summary.kernel


@pytest.mark.parametrize("case", **ops.named(CASES))
@pytest.mark.parametrize("name", NAMES)
def test_every_instruction_set(name: str, case: ConvCase) -> None:
    if name not in AVAILABLE:
        pytest.skip(f"{name} is not on this machine, which has {', '.join(AVAILABLE)}")
    with held_to(name):
        kernel = check(case.data(), "native")
    # AMX machines run groups with the vectors that they have beside the tiles.
    vectors = "avx512_vnni" if name == "amx_int8" else name
    assert kernel in (f"grouped_{vectors}", f"dense_{name}")
    if case in RESNEXT[:4]:
        assert kernel.startswith("grouped_")


@ops.on_engines(CASES, names=[engine for engine in ops.ENGINES if engine != "native"])
def test_every_other_engine(case: ConvCase, engine: str) -> None:
    check(ops.supported(case, engine).data(), engine)
