"""Convolutions of a file that are not what their form asks for are refused, with the reason."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
import torch
from composed_archives import (
    STORAGES,
    call,
    packed,
    per_channel,
    plain,
    refusal,
    storage,
    weight,
    write_archive,
)

from torch_qconv_prepack.checkpoint import _read, _tensors, read
from torch_qconv_prepack.checkpoint._nodes import Global, Node
from torch_qconv_prepack.checkpoint._states import open_container
from torch_qconv_prepack.checkpoint._tensors import TensorReader

BIAS = plain(storage("Float", "bias", 2), (2,))
MEMBERS = {
    "data/bias": struct.pack("<2f", 1.5, -2),
    "data/one": struct.pack("<f", 0.25),
    "data/whole": struct.pack("<q", 7),
}
# Of a module: 3 -> 2 channels, kernel 1x1.
SOUND = {
    "in_channels": 3,
    "out_channels": 2,
    "kernel_size": (1, 1),
    "stride": (2, 1),
    "padding": (0, 3),
    "dilation": (1, 1),
    "transposed": False,
    "output_padding": (0, 0),
    "groups": 1,
    "padding_mode": "zeros",
    "weight": weight(),
    "bias": BIAS,
    "scale": 0.5,
    "zero_point": 7,
    "training": False,
}


def module(**changes: object) -> Node:
    name = Global("__torch__.torch.nn.quantized.modules.conv.___torch_mangle_3.Conv2d")
    return Node(name, (), has_state=True, state=tuple({**SOUND, **changes}.values()))


def write(path: Path, tree: object, **members: bytes) -> None:
    write_archive(path, tree, **MEMBERS, **members)


def test_composed_module_is_read(tmp_path: Path) -> None:
    write(tmp_path / "f.pt", {"m": module()})
    (record,) = read(tmp_path / "f.pt")
    assert (record.name, record.format) == ("m", "module")
    assert record.class_name == "torch.nn.quantized.modules.conv.Conv2d"
    assert record.weight.flatten().tolist() == [0, 1, 2, -3, -2, -1]
    assert (record.scales.tolist(), record.zero_points.tolist()) == ([0.5], [3])
    assert (record.stride, record.padding, record.groups) == ((2, 1), (0, 3), 1)
    assert (record.output_scale, record.output_zero_point) == (0.5, 7)
    assert record.bias is not None
    assert record.bias.tolist() == [1.5, -2]


@pytest.mark.parametrize("listed", [True, False])
def test_module_of_pytorch_1_3_is_read(tmp_path: Path, listed: bool) -> None:
    # Scales and zero points as lists, which TorchScript wraps; output_padding as a number.
    scales, zero_points = [0.5, 0.25], [0, -7]
    quantizer = per_channel(
        call("torch.jit._pickle.build_doublelist", scales) if listed else tuple(scales),
        call("torch.jit._pickle.build_intlist", zero_points) if listed else tuple(zero_points),
    )
    write(tmp_path / "f.pt", module(weight=weight(quantizer=quantizer), output_padding=0))
    (record,) = read(tmp_path / "f.pt")
    assert record.per_channel
    assert (record.scales.tolist(), record.zero_points.tolist()) == (scales, zero_points)
    assert (record.scales.dtype, record.zero_points.dtype) == (torch.float64, torch.int64)
    assert record.output_padding == (0, 0)
    assert record.pack().weight_scales().tolist() == scales


BAD_MODULES = [
    ({"in_channels": 4}, "in_channels must be that of the weight, 3, got 4"),
    ({"out_channels": 3}, "out_channels must be that of the weight, 2, got 3"),
    ({"kernel_size": (1, 2)}, "kernel_size must be that of the weight, (1, 1), got (1, 2)"),
    ({"kernel_size": "1"}, "kernel_size must have 2 elements, got '1'"),
    ({"stride": (1,)}, "stride must have 2 elements, got (1)"),
    ({"stride": (1, 0)}, "stride must be integers from 1 on, got (1, 0)"),
    ({"stride": (1, 2.5)}, "stride must be integers from 1 on, got (1, 2.5)"),
    ({"stride": (1, True)}, "stride must be integers from 1 on, got (1, True)"),
    ({"stride": 2**40}, f"stride must be integers from 1 on, got ({2**40}, {2**40})"),
    ({"padding": (0, -1)}, "padding must be integers from 0 on, got (0, -1)"),
    ({"dilation": (0, 1)}, "dilation must be integers from 1 on, got (0, 1)"),
    ({"output_padding": -1}, "output_padding must be integers from 0 on, got (-1, -1)"),
    ({"groups": 0}, "groups must be an integer above 0, got 0"),
    ({"groups": "1"}, "groups must be an integer above 0, got '1'"),
    ({"groups": 4}, "groups must divide the channels, 2, got 4"),
    ({"groups": 2, "in_channels": 3}, "in_channels must be that of the weight, 6, got 3"),
    ({"bias": 0.5}, "bias must be a tensor or None, got 0.5"),
    (
        {"bias": plain(storage("Float", "one", 1), (1,))},
        "bias must have 2 elements, got 1",
    ),
    (
        {"bias": plain(storage("Double", "scales", 2), (2,))},
        "bias must be a float32 tensor of one dimension, got size (2) of torch.float64",
    ),
    ({"scale": None}, "scale and zero_point must be two numbers, got None and 7"),
    ({"scale": True}, "scale and zero_point must be two numbers, got True and 7"),
    ({"zero_point": 0.5}, "scale and zero_point must be two numbers, got 0.5 and 0.5"),
    (
        {"transposed": True, "weight": weight(quantizer=per_channel())},
        "weight must be quantized along its output channels, axis 1, got axis 0",
    ),
    (
        {"weight": weight(size=(2, 3), stride=(3, 1))},
        "weight must be int8 of 3 to 5 dimensions with elements, got size (2, 3) of torch.int8",
    ),
    (
        {"weight": weight(size=(2, 0, 1, 1))},
        "weight must be int8 of 3 to 5 dimensions with elements, got size (2, 0, 1, 1) of "
        "torch.int8",
    ),
    (
        {"weight": weight(storage("QUInt8"))},
        "weight must be int8 of 3 to 5 dimensions with elements, got size (2, 3, 1, 1) of "
        "torch.uint8",
    ),
]


@pytest.mark.parametrize(("changes", "text"), BAD_MODULES)
def test_unsound_module_is_refused(tmp_path: Path, changes: dict[str, object], text: str) -> None:
    write(tmp_path / "f.pt", {"m": module(**changes)})
    assert refusal(tmp_path / "f.pt", read) == f"'m': {text}"


@pytest.mark.parametrize(
    "changes",
    [{"weight": None}, {"weight": BIAS}, {"padding_mode": None}, {"transposed": 0}],
)
def test_other_tuples_are_no_convolutions(tmp_path: Path, changes: dict[str, object]) -> None:
    write(tmp_path / "f.pt", {"m": module(**changes)})
    assert read(tmp_path / "f.pt") == []


WHOLE = plain(storage("Long", "whole", 1), (), ())
SCALE = plain(storage("Float", "one", 1), (), ())
STATE_DICT = {"weight": weight(), "bias": BIAS, "scale": SCALE, "zero_point": WHOLE}


def test_composed_state_dict_is_read(tmp_path: Path) -> None:
    tree = {
        "a.0": {f"b.{key}": value for key, value in STATE_DICT.items()},
        **STATE_DICT,
        "weight_of_nothing.weight": weight(),
        "fc": {**STATE_DICT, "weight": weight(size=(2, 3), stride=(3, 1))},
        "own_weight": weight(),
        3: weight(),
    }
    write(tmp_path / "f.pt", tree)
    records = read(tmp_path / "f.pt")
    assert sorted(record.name for record in records) == ["", "a.0.b"]
    for record in records:
        assert (record.output_scale, record.output_zero_point) == (0.25, 7)
        assert (record.stride, record.transposed) == (None, None)


def test_channels_along_axis_1_tell_a_transposed_convolution(tmp_path: Path) -> None:
    scales = plain(storage("Double", "three", 3), (3,))
    zero_points = plain(storage("Long", "zeros", 3), (3,))
    values = {**STATE_DICT, "weight": weight(quantizer=per_channel(scales, zero_points, 1))}
    three = struct.pack("<3d", 1, 2, 3)
    write(tmp_path / "f.pt", values, **{"data/three": three, "data/zeros": bytes(24)})
    (record,) = read(tmp_path / "f.pt")
    assert (record.transposed, record.kind) == (True, "conv_transpose2d")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"scale": weight()},
            "scale and zero_point must be two numbers, got a tensor and a tensor",
        ),
        (
            {"bias": weight()},
            "bias must be a float32 tensor of one dimension, got size (2, 3, 1, 1) of torch.int8",
        ),
        ({"bias": [0.5]}, "bias must be a tensor or None, got (0.5)"),
    ],
)
def test_unsound_state_dict_is_refused(
    tmp_path: Path, changes: dict[str, object], text: str
) -> None:
    values = {f"a.{key}": value for key, value in {**STATE_DICT, **changes}.items()}
    write(tmp_path / "f.pt", {"m": values})
    assert refusal(tmp_path / "f.pt", read) == f"'m': 'a': {text}"


CONFIG = [2, 1, 2, 3, 4, 5, 6, 0, 0, 1, 0]
TWO = plain(storage("Short", "config", 11), (11,))
ONE = WHOLE
PARTS = "state of version {} must have that version's parts, got others"
BAD_CONFIG = "config must be 2, 9 integers and a flag of 0 or 1, got "
INT64 = "{} must be int64 tensors of one element, got others"
LIST = "stride must be a list of up to 3 tensors, got "
BAD_STATES = [
    ((3, CONFIG), PARTS.format(3)),
    ((3, CONFIG, [weight(), None, None]), PARTS.format(3)),
    ((3, CONFIG, [None, weight()]), PARTS.format(3)),
    ((3, CONFIG[:-1], [None, weight(), None]), BAD_CONFIG + "a list of 10 values"),
    ((3, [3, *CONFIG[1:]], [None, weight(), None]), BAD_CONFIG + "a list of 11 values"),
    ((3, [*CONFIG[:-1], 2], [None, weight(), None]), BAD_CONFIG + "a list of 11 values"),
    ((3, ["2", *CONFIG[1:]], [None, weight(), None]), BAD_CONFIG + "a list of 11 values"),
    ((3, [*CONFIG[:9], 0, 0], [None, weight(), None]), "groups must be an integer above 0, got 0"),
    ((3, CONFIG, [None, BIAS, None]), "weight must be a quantized tensor, got a tensor"),
    ((3, CONFIG, [None, 7, None]), "weight must be a quantized tensor, got 7"),
    (("2", [TWO], [None]), PARTS.format(2)),
    (("2", [TWO, weight()], [None, None]), PARTS.format(2)),
    (("2", [7, weight()], [None]), PARTS.format(2)),
    (
        ("2", [BIAS, weight()], [None]),
        "config must be 11 numbers of torch.int16, got size (2) of torch.float32",
    ),
    ((weight(), None, [ONE], [ONE], [ONE]), PARTS.format(1)),
    ((weight(), None, [ONE], [ONE], [ONE], ONE), "stride must have 2 elements, got (7)"),
    ((weight(), None, [ONE, 1], [ONE], [ONE], ONE), INT64.format("stride")),
    ((weight(), None, [ONE] * 4, [ONE], [ONE], ONE), LIST + "a list of 4 values"),
    (
        (weight(), None, ONE, [ONE], [ONE], ONE),
        "stride must be a list of up to 3 tensors, got a tensor",
    ),
    ((weight(), None, [ONE] * 2, [ONE] * 2, [ONE] * 2, BIAS), INT64.format("groups")),
    (("torch_qconv_prepack.1", "auto", [2], "AAAA"), None),
]


@pytest.mark.parametrize(("value", "text"), BAD_STATES)
def test_unsound_packed_object_is_refused(
    tmp_path: Path, value: tuple[object, ...], text: str | None
) -> None:
    write(tmp_path / "f.pt", {"p": packed(value)})
    found = refusal(tmp_path / "f.pt", read)
    if text is None:
        assert found.startswith("'p': from_state: ")
    else:
        assert found == f"'p': {text}"


def test_weights_that_share_memory_too_often_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Records take no memory of their own, but those who copy them would need much.
    write(tmp_path / "f.pt", [module() for _ in range(100)])
    assert len(read(tmp_path / "f.pt")) == 100
    monkeypatch.setattr(_read, "_MIN_BYTES", 100)
    monkeypatch.setattr(_read, "_MAX_SHARING", 0)
    size = (tmp_path / "f.pt").stat().st_size
    assert refusal(tmp_path / "f.pt", read) == (
        f"file must have weights of at most 0 times its {size} bytes, got 600"
    )


def test_scales_that_many_tensors_share_are_built_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "f.pt", None)
    quantizer = per_channel([0.5, 0.25], [0, -7])
    with open_container(tmp_path / "f.pt") as container:
        reader = TensorReader(container, "data")
        tensors = [reader.read(weight(quantizer=quantizer)) for _ in range(100)]
        for field in ("scales", "zero_points", "values"):
            assert len({getattr(tensor, field).data_ptr() for tensor in tensors}) == 1
        # Looking at them is limited too, by what the file could hold.
        monkeypatch.setattr(_tensors, "_MIN_EXAMINED", 202)
        monkeypatch.setattr(_tensors, "_MAX_SHARING", 0)
        reader.read(weight(quantizer=quantizer))
        with pytest.raises(ValueError, match=r"^scales must be used 0 times at most, got more use"):
            reader.read(weight(quantizer=quantizer))


def test_long_name_in_a_state_dict_is_refused(tmp_path: Path) -> None:
    # Every convolution would have a copy of it.
    name = "k" * 4096
    values = {f"{name}.{key}": value for key, value in STATE_DICT.items()}
    write(tmp_path / "f.pt", values)
    text = "names must have at most 4096 characters, got more"
    assert refusal(tmp_path / "f.pt", read) == text


def test_storages_of_these_tests_are_all_there() -> None:
    assert not set(MEMBERS) & set(STORAGES)
