"""This package's own state: damage and nonsense in every part of it is refused."""

from __future__ import annotations

import math
import random
import string
import struct
from typing import Any

import ops
import pytest
import torch
from bad_input import assert_raises
from cases import feature_cases
from conv_case import ConvCase
from saved_states import (
    OWN_TAG,
    PER_CHANNEL,
    own_config,
    own_payload,
    own_state,
    parts_of,
    state_of,
)
from spoiled_states import OWN, OWN_CONFIG, OWN_PAYLOAD, assert_refused, replaced, rows

import torch_qconv_prepack as qconv

VERSION = f"state version {OWN_TAG}: "
DAMAGED = "the state doesn't match its checksum"
TEXT: str = OWN[3]
WEIGHTS = 4 * 2 * 3 * 3  # of PARTS, followed by one scale, one zero point and four biases


@rows(
    {
        "engine None": (replaced(OWN, 1, None), TypeError, "element 1 must be a string, got None"),
        "engine 3": (replaced(OWN, 1, 3), TypeError, "element 1 must be a string, got Int"),
        "config None": (replaced(OWN, 2, None), TypeError, "element 2 must be a list of integers,"),
        "config tuple": (
            replaced(OWN, 2, (2,)),
            TypeError,
            "element 2 must be a list of integers,",
        ),
        "config text": (
            replaced(OWN, 2, "2"),
            TypeError,
            "element 2 must be a list of integers, g",
        ),
        "config tensor": (
            replaced(OWN, 2, torch.tensor(OWN[2])),
            TypeError,
            "element 2 must be a list of integers, got Tensor",
        ),
        "config of floats": (
            replaced(OWN, 2, [float(n) for n in OWN[2]]),
            TypeError,
            "element 2 must be a list of integers, with one entry, got Double",
        ),
        "config of one": (
            replaced(OWN, 2, [2]),
            ValueError,
            "the config must have 16 elements, got",
        ),
        "config short": (
            replaced(OWN, 2, OWN[2][:-1]),
            ValueError,
            "the config must have 16 elements, got 15",
        ),
        "config long": (
            replaced(OWN, 2, [*OWN[2], 0]),
            ValueError,
            "the config must have 16 elements, got 17",
        ),
        "payload None": (replaced(OWN, 3, None), TypeError, "element 3 must be a string, got None"),
        "payload 3": (replaced(OWN, 3, 3), TypeError, "element 3 must be a string, got Int"),
        "payload list": (
            replaced(OWN, 3, [TEXT]),
            TypeError,
            "element 3 must be a string, got Gen",
        ),
        "payload tensor": (
            replaced(OWN, 3, torch.ones(3)),
            TypeError,
            "element 3 must be a string, got Tensor",
        ),
    }
)
def test_types(state: Any, error: type[Exception], text: str) -> None:
    assert_refused(state, error, VERSION + text)


@pytest.mark.parametrize(
    "name", ["", "FBGEMM", "xnnpack", "fbgemm ", "fbgemm\0", "\u00e9", "x" * 300]
)
def test_unknown_engine(name: str) -> None:
    assert_refused(replaced(OWN, 1, name), ValueError, "engine must be one of auto, ")


@pytest.mark.parametrize("engine", ["auto", *ops.ENGINES])
def test_known_engine(engine: str) -> None:
    params = qconv.from_state(replaced(OWN, 1, engine))
    assert params.engine() in ops.ENGINES


BASE64 = {
    "empty": "",
    "a character short": TEXT[:-1],
    "four short": TEXT[:-4],
    "four long": TEXT + "AAAA",
    "half of it": TEXT[: len(TEXT) // 2],
    "padding alone": "====",
    "padding within": TEXT[:4] + "==" + TEXT[6:],
    "three paddings": TEXT[:-3] + "===",
    "no padding": TEXT.rstrip("="),
    "bits under the padding": TEXT[:-3] + "B==",
    "newline": TEXT[:8] + "\n" + TEXT[9:],
    "space": " " + TEXT[1:],
    "other alphabet": TEXT[:8] + "-_" + TEXT[10:],
    "zero character": TEXT[:8] + "\0" + TEXT[9:],
    "accent": TEXT[:8] + "\u00e9" + TEXT[10:],
}


@pytest.mark.parametrize("text", BASE64.values(), ids=BASE64)
def test_text_that_is_not_the_payload_in_base64(text: str) -> None:
    assert text != TEXT
    state = replaced(OWN, 3, text)
    assert_refused(state, ValueError, VERSION + "element 3 must ")


def test_every_changed_character_is_noticed() -> None:
    # Each character once: weights, scales, zero points, bias.
    rng = random.Random(0)
    for case in list(feature_cases())[::13]:
        state = state_of(ops.pack(case.data()))
        for position, character in enumerate(state[3]):
            other = rng.choice(string.ascii_letters + string.digits + "+/=")
            if other != character:
                text = state[3][:position] + other + state[3][position + 1 :]
                damaged = replaced(state, 3, text)
                dims = 3 if case.dims == 3 else 2
                start = f"from_state: {VERSION}"
                assert_raises(ValueError, start, lambda s=damaged, d=dims: qconv.from_state(s, d))


def test_swapped_words_are_noticed() -> None:
    # A word of the checksum is 8 bytes, which are 32 characters in every third place.
    text = TEXT[32:64] + TEXT[:32] + TEXT[64:]
    assert_refused(replaced(OWN, 3, text), ValueError, VERSION + DAMAGED)


@pytest.mark.parametrize(
    ("form", "offset", "value", "text"),
    [
        ("<d", WEIGHTS, 0.0, "weight scale must be "),
        ("<d", WEIGHTS, -1.0, "weight scale must be "),
        ("<d", WEIGHTS, math.nan, "weight scale must be "),
        ("<d", WEIGHTS, math.inf, "weight scale must be "),
        ("<d", WEIGHTS, 1e-45, "weight scale must be "),
        ("<d", WEIGHTS, 1e39, "weight scale must be "),
        ("<i", WEIGHTS + 8, 128, "weight zero point must be "),
        ("<i", WEIGHTS + 8, -129, "weight zero point must be "),
        ("<i", WEIGHTS + 8, 2**31 - 1, "weight zero point must be "),
        ("<i", WEIGHTS + 8, -(2**31), "weight zero point must be "),
        ("<f", WEIGHTS + 12, math.nan, "bias must be finite, got nan for channel 0"),
        ("<f", WEIGHTS + 24, -math.inf, "bias must be finite, got -inf for channel 3"),
    ],
)
def test_numbers_of_the_payload(form: str, offset: int, value: float, text: str) -> None:
    payload = bytearray(OWN_PAYLOAD)
    struct.pack_into(form, payload, offset, value)
    assert_refused(own_state(OWN_CONFIG, bytes(payload)), ValueError, text)


def test_one_channel_of_many() -> None:
    parts = parts_of(ConvCase("c", per_channel=True).data())
    config, payload = own_config(parts), bytearray(own_payload(parts))
    assert config[10] & PER_CHANNEL
    weights = parts.weight.numel()
    struct.pack_into("<d", payload, weights + 8 * 7, math.nan)
    assert_refused(
        own_state(config, bytes(payload)), ValueError, "weight scale of channel 7 must be "
    )
