"""The demo: what it claims about the networks that it runs, and that its checks can fail."""

from __future__ import annotations

import dataclasses
import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from torch.nn import functional

from torch_qconv_prepack import __main__ as command_line
from torch_qconv_prepack import demo
from torch_qconv_prepack.demo import evaluate, exact, network, packed_model
from torch_qconv_prepack.demo.backends import STOCK, available_engines
from torch_qconv_prepack.demo.data import load_digits
from torch_qconv_prepack.demo.quantize import ActivationScale, QuantizedLayer
from torch_qconv_prepack.demo.report import Report

# Half the demo's: enough for a network that is right on more than 19 of 20 digits.
EPOCHS = 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "made" / "by the demo"


@pytest.fixture(scope="module")
def report(folder: Path) -> Report:
    return demo.run(folder, epochs=EPOCHS, repeats=3, console=Console(stderr=True, quiet=True))


def test_int8_network_is_within_half_a_point_of_float32(report: Report) -> None:
    assert report.float_accuracy > 95.0
    for row in report.rows:
        assert abs(row.accuracy - report.float_accuracy) <= 0.5, row


def test_every_engine_predicts_the_digits_of_the_exact_network(report: Report) -> None:
    ours = [row for row in report.rows if row.must_be_exact and not row.rounds_bias]
    assert [row.differing_digits for row in ours] == [0] * len(ours)
    assert ours
    assert report.failures() == []


def test_table_has_a_row_per_engine_then_stock_exact_and_float32(report: Report) -> None:
    ours = [f"{engine} (ours)" for engine in available_engines()]
    assert "fbgemm (ours)" in ours
    expected = [*ours, "stock PyTorch (engine x86)", "exact int8 reference", "float32"]
    assert [row.title for row in report.rows] == expected
    printed = io.StringIO()
    Console(file=printed, width=80).print(report.table())
    assert all(title in printed.getvalue() for title in expected)


def test_files_hold_the_packed_networks(report: Report, folder: Path) -> None:
    for engine in available_engines():
        path = folder / f"torch_qconv_prepack-{engine}.pt"
        loaded = packed_model.load_network(path)
        for layer in loaded.layers:
            assert layer.parameters.engine() == engine
    # An int8 network takes about a quarter of its float32 form; its file has more small parts.
    kilobytes = {row.title: row.kilobytes for row in report.rows}
    assert kilobytes["fbgemm (ours)"] < 0.5 * kilobytes["float32"]
    assert not list(folder.glob("*.partial"))


def test_a_wrong_digit_or_a_loss_of_accuracy_fails(report: Report) -> None:
    ours, *others = report.rows
    wrong_digit = dataclasses.replace(ours, differing_digits=1)
    lossy = dataclasses.replace(ours, accuracy=report.float_accuracy - 0.51)
    failures = [
        dataclasses.replace(report, rows=(row, *others)).failures() for row in (wrong_digit, lossy)
    ]
    assert failures == [
        [f"{ours.title}: every digit must be the exact int8 network's, got 1 of 719 that differ"],
        [
            f"{ours.title}: accuracy must be within 0.5 points of float32's "
            f"{report.float_accuracy:.2f} %, got {lossy.accuracy:.2f} %"
        ],
    ]
    without_ours = tuple(row for row in others if not row.must_be_exact)
    assert dataclasses.replace(report, rows=without_ours).failures() == [
        "no engine of torch_qconv_prepack is available"
    ]


@pytest.mark.parametrize("layer", network.LAYERS, ids=lambda layer: layer.name)
@pytest.mark.parametrize("relu", [False, True], ids=["linear", "relu"])
def test_exact_layer_is_the_formula_over_torch_convolutions(
    layer: network.ConvLayer, relu: bool
) -> None:
    layer = dataclasses.replace(layer, relu=relu)
    random = np.random.default_rng(0)
    inputs, outputs = layer.in_channels, layer.out_channels
    sides = (inputs, outputs) if layer.transposed else (outputs, inputs)
    shape = (sides[0], sides[1] // layer.groups, layer.kernel_size, layer.kernel_size)
    weight = torch.from_numpy(random.integers(-127, 128, shape, dtype=np.int8))
    scales = torch.from_numpy(random.uniform(0.001, 0.01, 1 if layer.transposed else outputs))
    bias = torch.from_numpy(random.standard_normal(outputs, dtype=np.float32))
    output = ActivationScale(0.17, 93)
    activation = random.integers(0, 256, (3, inputs, 8, 8)).astype(np.float64)
    got = exact.exact_layer(
        QuantizedLayer(layer, weight, scales, bias, output), activation, ActivationScale(0.05, 131)
    )

    channel_axis = 1 if layer.transposed else 0
    shape_of_scales = [-1 if axis == channel_axis else 1 for axis in range(4)]
    convolve = functional.conv_transpose2d if layer.transposed else functional.conv2d
    real = convolve(
        (torch.from_numpy(activation) - 131) * 0.05,
        weight * scales.reshape(shape_of_scales),
        bias.double(),
        stride=layer.stride,
        padding=layer.padding,
        groups=layer.groups,
    )
    if relu:
        real = functional.relu(real)
    expected = (torch.round(real / 0.17) + 93).clamp(0, 255).numpy()
    # Other orders of the same float64 sums: equal but at a tie, which random scales never meet.
    np.testing.assert_array_equal(got, expected)
    assert len(np.unique(got)) > 50


def test_split_is_fixed_and_balanced() -> None:
    digits = load_digits()
    assert digits.train_images.shape == (1078, 1, 8, 8)
    assert digits.test_images.shape == (719, 1, 8, 8)
    assert digits.test_images.min() == 0
    assert digits.test_images.max() == 1
    counts = digits.test_labels.bincount(minlength=10)
    assert counts.max() - counts.min() <= 4
    torch.testing.assert_close(load_digits().test_labels, digits.test_labels)


def test_training_repeats_and_leaves_random_state_and_threads_alone() -> None:
    digits = load_digits()
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    first, again = (network.train(digits, 1, 5, lambda: None).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads


def test_a_save_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "network.pt"
    packed_model.save_atomically({"epochs": 3}, path)
    with pytest.raises(Exception, match="pickle"):
        packed_model.save_atomically({"epochs": lambda: 4}, path)
    assert torch.load(path) == {"epochs": 3}
    assert list(tmp_path.iterdir()) == [path]


def test_an_unreadable_network_is_reported_with_the_childs_own_error(
    report: Report, folder: Path, tmp_path: Path
) -> None:
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    stock = tmp_path / STOCK.file_name
    stock.write_bytes(stock.read_bytes()[:1000])
    with pytest.raises(evaluate.FreshProcessError, match=r"(?s)status 1:\n.*Error"):
        evaluate.classify_in_fresh_process(tmp_path, [STOCK.file_name], repeats=1)


def test_command_prints_the_table_and_its_status_follows_the_checks(
    report: Report, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo.command, "run", lambda *_: report)
    assert command_line.main(["demo"]) == 0
    assert "fbgemm (ours)" in capsys.readouterr().out
    spoilt = dataclasses.replace(report, float_accuracy=report.float_accuracy + 1)
    monkeypatch.setattr(demo.command, "run", lambda *_: spoilt)
    assert command_line.main(["demo"]) == 1
    assert "demo: failed: fbgemm (ours): accuracy must be" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["frobnicate"], ["demo", "--epochs", "0"]])
def test_bad_command_lines_are_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        command_line.main(arguments)
    assert exit_.value.code == 2


@pytest.mark.parametrize(
    ("module", "distribution"), [("rich", "rich"), ("sklearn", "scikit-learn")]
)
def test_missing_dependency_names_the_command_that_installs_it(
    module: str, distribution: str, tmp_path: Path
) -> None:
    # A module of that name which fails as an absent one does, found before the real one.
    (tmp_path / f"{module}.py").write_text(f"raise ImportError('No module named {module}')\n")
    path = [str(tmp_path), str(Path(demo.__file__).parents[2])]
    child = subprocess.run(
        [sys.executable, "-m", "torch_qconv_prepack", "demo"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.returncode == 2
    assert child.stderr.splitlines()[-1] == (
        f"demo: needs {distribution}, which could not be imported (No module named {module}); "
        'install it with: pip install "torch_qconv_prepack[demo]"'
    )
