"""The engines are right on CPUs with fewer instructions than this one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ops import ENGINES

# What FBGEMM calls AVX2 and AVX512 has no VNNI instructions: its kernels saturate at int16 there.
FBGEMM_SETS = ("AVX2", "AVX512")


# oneDNN's implementations differ for each of these.
ONEDNN_SETS = ("SSE41", "AVX2", "AVX512_CORE", "AVX512_CORE_VNNI")


@pytest.mark.skipif("onednn" not in ENGINES, reason="built without oneDNN")
@pytest.mark.parametrize("name", ONEDNN_SETS)
def test_onednn_engine_held_to(name: str) -> None:
    tests = [str(Path(__file__).with_name(n)) for n in ("test_convolution.py", "test_onednn.py")]
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "onednn", *tests],
        env=os.environ | {"ONEDNN_MAX_CPU_ISA": name},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout[-3000:]


@pytest.mark.parametrize("name", FBGEMM_SETS)
def test_fbgemm_engine_held_to(name: str) -> None:
    tests = str(Path(__file__).with_name("test_convolution.py"))
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "fbgemm", tests],
        env=os.environ | {"FBGEMM_ENABLE_INSTRUCTIONS": name},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout[-3000:]


def test_without_vnni_full_range_weights_take_the_exact_loops() -> None:
    program = """
import torch
import torch_qconv_prepack
from conv_case import ConvCase
from ops import pack
for full_range in (False, True):
    print(pack(ConvCase("c", in_channels=32, full_range=full_range).data(), "fbgemm").kernel_name())
"""
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        env=os.environ
        | {"FBGEMM_ENABLE_INSTRUCTIONS": "AVX2", "PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.split() == ["im2col", "exact"]
