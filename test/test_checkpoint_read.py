"""`read` gives the convolutions of every file that PyTorch 1.3 to 2.13 wrote, and they run."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import ops
import pytest
import torch
from comparison import assert_matches
from conv_case import ConvCase
from legacy import ExpectedFile, LegacyFile, legacy_files
from packed_examples import assert_same_params, every_example
from reference import ConvGeometry, Expected, quantized_conv
from torch import nn
from torch.ao.quantization import get_default_qconfig_mapping, quantize_fx

import torch_qconv_prepack as qconv
from torch_qconv_prepack.checkpoint import ConvRecord, read

MAX_QUANTA = 1  # from the float64 result; reference.py states what each engine may do exactly

FORMATS = {"mod": "module", "pkl": "module", "sd": "state_dict"}


def read_one(file: LegacyFile) -> tuple[ConvRecord, ExpectedFile]:
    """Return what the file holds, completed with the geometry that a state_dict lacks."""
    expected = ExpectedFile(file)
    (record,) = read(file.path)
    if file.kind == "sd":
        assert record.missing == [
            name
            for name in ("stride", "padding", "dilation", "output_padding", "groups", "transposed")
            if name != "transposed" or record.transposed is None
        ]
        config = expected.config
        dims = slice(-record.dims, None)
        record = dataclasses.replace(
            record,
            stride=config.stride[dims],
            padding=config.padding[dims],
            dilation=config.dilation[dims],
            output_padding=config.output_padding[dims],
            groups=config.groups,
            transposed=config.transpose,
        )
    return record, expected


@pytest.mark.parametrize("file", legacy_files(), ids=lambda file: file.name)
def test_record_holds_what_was_saved(file: LegacyFile) -> None:
    record, expected = read_one(file)
    assert record.format == (FORMATS.get(file.kind) or str(file.version))
    assert record.weight.dtype == torch.int8
    # Modules tell that they are one-dimensional, packed objects don't.
    weight = record.weight.unsqueeze(2) if record.dims == 1 else record.weight
    assert (record.dims == 1) == (file.is_1d and file.kind in FORMATS)
    assert torch.equal(weight, expected.weight)
    assert torch.equal(record.scales, expected.scales)
    assert torch.equal(record.zero_points, expected.zero_points)
    assert record.per_channel == (expected.axis >= 0)
    assert record.symmetric == (not expected.zero_points.any())
    if expected.bias is None:
        assert record.bias is None
    else:
        assert record.bias is not None
        assert torch.equal(record.bias, expected.bias)
    dims = slice(-record.dims, None)
    assert record.stride == expected.config.stride[dims]
    assert record.padding == expected.config.padding[dims]
    assert record.dilation == expected.config.dilation[dims]
    assert record.output_padding == expected.config.output_padding[dims]
    assert record.groups == expected.config.groups
    assert record.transposed == expected.config.transpose
    kind = file.op.replace("_relu", "")
    assert record.kind == (kind if record.dims == 1 else kind.replace("1d", "2d"))
    output = (record.output_scale, record.output_zero_point)
    if file.kind in FORMATS:
        # State_dicts hold the scale as float32.
        assert output[0] == pytest.approx(expected.y.q_scale(), rel=1e-7)
        assert output[1] == expected.y.q_zero_point()
    elif "freeze" not in file.kind:
        assert output == (None, None)


@pytest.mark.parametrize("file", legacy_files(), ids=lambda file: file.name)
def test_record_runs_as_the_reference_says_on_every_engine_that_takes_it(file: LegacyFile) -> None:
    record, expected = read_one(file)
    op = getattr(torch.ops.torch_qconv_prepack, file.op)
    ran = []
    for engine in ("auto", "x86", *ops.ENGINES):
        try:
            params = record.pack(engine)
        except NotImplementedError:
            continue
        y = op(expected.x, params, expected.y.q_scale(), expected.y.q_zero_point())
        assert y.shape == expected.y.shape
        error = y.int_repr().int() - expected.y.int_repr().int()
        assert error.abs().max() <= MAX_QUANTA, engine
        assert_matches(y, reference_of(expected, file, params.engine()))
        ran.append(engine)
    assert {"auto", "x86", "native", "fbgemm"} <= set(ran)


def reference_of(expected: ExpectedFile, file: LegacyFile, engine: str) -> Expected:
    """What the engine's output must be, of the numbers that the file's writer noted."""
    weight = expected.weight.squeeze(2) if file.is_1d else expected.weight
    scales, zero_points, axis = expected.scales, expected.zero_points, expected.axis
    if axis < 0:
        qweight = torch._make_per_tensor_quantized_tensor(
            weight, scales.item(), int(zero_points.item())
        )
    else:
        qweight = torch._make_per_channel_quantized_tensor(weight, scales, zero_points, axis)
    config, dims = expected.config, slice(-1 if file.is_1d else 0, None)
    geometry = ConvGeometry(
        config.stride[dims],
        config.padding[dims],
        config.dilation[dims],
        config.groups,
        config.transpose,
        config.output_padding[dims],
    )
    y = expected.y
    return quantized_conv(
        *(expected.x, qweight, expected.bias, geometry, y.q_scale(), y.q_zero_point()),
        relu=file.op.endswith("_relu"),
        engine=engine,
    )


class Model(nn.Module):
    """Modules of several kinds, in modules."""

    def __init__(self) -> None:
        super().__init__()
        nnq = torch.ao.nn.quantized
        self.stem = nn.Sequential(torch.ao.nn.intrinsic.quantized.ConvReLU2d(3, 8, 3, stride=2))
        self.up = nnq.ConvTranspose2d(8, 4, 2, stride=2, bias=False)
        self.fc = nnq.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.up(self.stem(x))


NAMES = ["stem.0", "up"]


def save_zip(model: nn.Module, path: Path) -> None:
    torch.save(model, path)


def save_stream(model: nn.Module, path: Path) -> None:
    torch.save(model, path, _use_new_zipfile_serialization=False)


def save_script(model: nn.Module, path: Path) -> None:
    torch.jit.save(torch.jit.script(model), path)


@pytest.mark.parametrize("save", [save_zip, save_stream, save_script])
def test_modules_of_a_model_are_named_as_in_it(tmp_path: Path, save: object) -> None:
    save(Model(), tmp_path / "f.pt")  # type: ignore[operator]
    stem, up = read(tmp_path / "f.pt")
    assert [stem.name, up.name] == NAMES
    assert stem.class_name == "torch.ao.nn.intrinsic.quantized.modules.conv_relu.ConvReLU2d"
    assert (stem.kind, stem.in_channels, stem.out_channels) == ("conv2d", 3, 8)
    assert (stem.kernel_size, stem.stride, stem.bias is None) == ((3, 3), (2, 2), False)
    assert (up.kind, up.in_channels, up.out_channels) == ("conv_transpose2d", 8, 4)
    assert (up.stride, up.output_scale, up.output_zero_point) == ((2, 2), 1.0, 0)


@pytest.mark.parametrize("zipped", [True, False])
def test_state_dict_has_the_tensors_alone(tmp_path: Path, zipped: bool) -> None:
    state = Model().state_dict()
    torch.save({"model": state}, tmp_path / "f.pt", _use_new_zipfile_serialization=zipped)
    stem, up = read(tmp_path / "f.pt")
    assert [stem.name, up.name] == ["model.stem.0", "model.up"]
    assert torch.equal(stem.weight, state["stem.0.weight"].int_repr())
    assert (stem.stride, stem.groups, stem.transposed, stem.in_channels) == (None,) * 4
    assert stem.kind == "conv2d or conv_transpose2d"
    with pytest.raises(
        ValueError,
        match=r"^pack: 'model\.stem\.0' must have stride, padding, dilation, output_padding, "
        r"groups, transposed, which a state_dict doesn't hold; add them with dataclasses\.replace",
    ):
        stem.pack()


def test_padding_other_than_zeros_is_told_and_not_packed(tmp_path: Path) -> None:
    module = torch.ao.nn.quantized.Conv2d(3, 8, 3, padding=1, padding_mode="reflect")
    torch.save(module, tmp_path / "f.pt")
    (record,) = read(tmp_path / "f.pt")
    assert (record.padding, record.padding_mode) == ((1, 1), "reflect")
    with pytest.raises(
        NotImplementedError, match="must pad with zeros, got padding_mode 'reflect'"
    ):
        record.pack()


def test_graph_modules_of_fx_are_read(tmp_path: Path) -> None:
    mapping = get_default_qconfig_mapping("fbgemm")
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU()).eval()
    example = torch.randn(1, 3, 8, 8)
    prepared = quantize_fx.prepare_fx(model, mapping, (example,))
    prepared(example)
    torch.save(quantize_fx.convert_fx(prepared), tmp_path / "f.pt")
    (record,) = read(tmp_path / "f.pt")
    assert (record.name, record.kind, record.padding) == ("0", "conv2d", (1, 1))


def test_module_around_a_packed_object_tells_name_and_output(tmp_path: Path) -> None:
    # PyTorch 1.6 and 1.7 freeze modules of torch.nn.quantized to such ones.
    class Conv2d(nn.Module):
        def __init__(self, packed: torch.ScriptObject) -> None:
            super().__init__()
            self._packed_params, self.scale, self.zero_point = packed, 0.5, 7

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.ops.quantized.conv2d(x, self._packed_params, self.scale, self.zero_point)

    packed = torch.ao.nn.quantized.Conv2d(3, 8, 3)._packed_params
    save_script(nn.Sequential(Conv2d(packed)), tmp_path / "f.pt")
    (record,) = read(tmp_path / "f.pt")
    assert record.name == "0"
    assert record.class_name.endswith(".Conv2d")
    assert (record.format, record.output_scale, record.output_zero_point) == ("2", 0.5, 7)


def test_names_that_occur_twice_get_numbers(tmp_path: Path) -> None:
    first, second = (torch.ao.nn.quantized.Conv2d(3, n, 3) for n in (4, 5))
    torch.save({"a.b": first, "a": {"b": second}, "again": first}, tmp_path / "f.pt")
    assert [(record.name, len(record.weight)) for record in read(tmp_path / "f.pt")] == [
        ("a.b", 4),
        ("a.b#2", 5),
    ]


@every_example
def test_objects_of_this_package_are_read(tmp_path: Path, case: ConvCase) -> None:
    data = case.data()
    params = ops.pack(data)
    torch.save({"p": params}, tmp_path / "f.pt")
    (record,) = read(tmp_path / "f.pt")
    assert (record.name, record.format) == ("p", "torch_qconv_prepack.1")
    assert record.kind == qconv.describe(params).kind
    assert_same_params(record.pack(params.engine()), params, data)
