"""Files that PyTorch wrote, old releases and the installed one, load and run here."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from legacy import Config, ExpectedFile, LegacyFile, decode, legacy_files
from torch import nn

import torch_qconv_prepack as qconv
from torch_qconv_prepack.checkpoint import read_states

# The expected output is rounded from float64, an engine's from float32: near a tie one may go up
# and the other down. That is rare; more of it would be an error of another kind.
MAX_QUANTA = 1
MAX_SHARE = 0.01


@pytest.mark.parametrize("file", legacy_files("raw", "obj", "freeze"), ids=lambda file: file.name)
def test_state_loads_and_runs(file: LegacyFile) -> None:
    expected = ExpectedFile(file)
    (saved,) = read_states(file.path)
    params = qconv.from_state(saved.state, dims=saved.dims)

    weight, bias = params.unpack()
    saved_weight, _, _ = decode(saved.version, saved.dims, saved.state)
    assert torch.equal(weight, saved_weight)
    assert torch.equal(weight.int_repr(), expected.weight)
    assert torch.equal(params.weight_scales(), expected.scales)
    assert torch.equal(params.weight_zero_points(), expected.zero_points)
    assert params.per_channel() == (expected.axis >= 0)
    assert (bias is None) == (expected.bias is None)
    assert bias is None or torch.equal(bias, expected.bias)
    config = Config(
        tuple(params.stride()),
        tuple(params.padding()),
        tuple(params.dilation()),
        tuple(params.output_padding()),
        params.groups(),
        params.transpose(),
    )
    assert config == expected.config

    op = getattr(torch.ops.torch_qconv_prepack, file.op)
    y = op(expected.x, params, expected.y.q_scale(), expected.y.q_zero_point())
    assert y.shape == expected.y.shape
    error = y.int_repr().int() - expected.y.int_repr().int()
    assert error.abs().max() <= MAX_QUANTA
    assert (error != 0).double().mean() <= MAX_SHARE


def stock_conv(bias: torch.Tensor | None = None) -> torch.ScriptObject:
    weight = torch.quantize_per_tensor(torch.randn(4, 3, 2, 2), 0.05, 0, torch.qint8)
    return torch.ops.quantized.conv2d_prepack(weight, bias, [1, 1], [0, 0], [1, 1], 1)


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.p = stock_conv()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.ops.quantized.conv2d(x, self.p, 1.0, 0)


def names(path: Path) -> list[str]:
    return [saved.name for saved in read_states(path)]


def test_objects_in_dicts_and_lists_are_found_once_each(tmp_path: Path) -> None:
    first, second = stock_conv(), stock_conv()
    torch.save({"layers": [first, {"b": second}], 3: first}, tmp_path / "f.pth")
    assert names(tmp_path / "f.pth") == ["layers[0]", "layers[1].b"]


def test_object_alone_has_no_name(tmp_path: Path) -> None:
    torch.save(stock_conv(), tmp_path / "f.pth")
    assert names(tmp_path / "f.pth") == [""]


def test_objects_in_modules_are_named_as_in_a_state_dict(tmp_path: Path) -> None:
    model = nn.Sequential(nn.ReLU(), nn.Sequential(Block()))
    torch.save(model, tmp_path / "f.pth")
    torch.jit.save(torch.jit.script(model), tmp_path / "f.pt")
    assert names(tmp_path / "f.pth") == names(tmp_path / "f.pt") == ["1.0.p"]


def test_packed_linear_layers_and_plain_tensors_are_no_convolutions(tmp_path: Path) -> None:
    weight = torch.quantize_per_tensor(torch.randn(4, 3), 0.05, 0, torch.qint8)
    linear = torch.ops.quantized.linear_prepack(weight, None)
    torch.save({"linear": linear, "weight": weight, "step": 10**30}, tmp_path / "f.pth")
    assert names(tmp_path / "f.pth") == []


def test_bias_that_was_a_parameter_is_read(tmp_path: Path) -> None:
    bias = nn.Parameter(torch.randn(4))
    torch.save(stock_conv(bias), tmp_path / "f.pth")
    (saved,) = read_states(tmp_path / "f.pth")
    assert torch.equal(decode(saved.version, saved.dims, saved.state)[1], bias.detach())


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_binary_pickle_protocol_is_read(tmp_path: Path, protocol: int) -> None:
    torch.save({"p": stock_conv()}, tmp_path / "f.pth", pickle_protocol=protocol)
    assert names(tmp_path / "f.pth") == ["p"]


def test_archive_written_without_checksums_is_read(tmp_path: Path) -> None:
    torch.serialization.set_crc32_options(False)
    try:
        torch.save({"p": stock_conv()}, tmp_path / "f.pth")
    finally:
        torch.serialization.set_crc32_options(True)
    assert names(tmp_path / "f.pth") == ["p"]
