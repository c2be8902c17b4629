"""The benchmarks' suites are the networks that they claim to be, and the scripts run end to end."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import instruction_sets
import pytest
import suites
import summary
import tables
import timing
import torch
from torch.nn import functional

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
# Distinct layers, layers, weights and multiply-adds of all convolutions. torchvision's models have
# 25,557,032 and 3,504,872 parameters, among them those of batch norm (53,120 and 34,112) and of the
# last layer (2,049,000 and 1,281,000). PyTorch's DCGAN generator has 3,576,704, of which batch norm
# has 1,920; of U-Net these are four layers of many.
NETWORKS = {
    "resnet50": (23, 53, 23_454_912, 4_087_136_256),
    "mobilenet_v2": (30, 52, 2_189_760, 299_494_272),
    "dcgan": (5, 5, 3_574_784, 104_628_224),
    "unet_up": (4, 4, 2_785_280, 5_631_377_408),
}


@pytest.mark.parametrize("suite", NETWORKS)
def test_a_suite_is_its_network(suite: str) -> None:
    layers = suites.load(suite)
    distinct, total, weights, multiply_adds = NETWORKS[suite]
    assert len({layer.name for layer in layers}) == len(layers) == distinct
    assert sum(layer.count for layer in layers) == total
    assert sum(layer.count * layer.weight_bytes for layer in layers) == weights
    assert sum(layer.count * layer.multiply_adds() for layer in layers) == multiply_adds


@pytest.mark.parametrize("suite", suites.names())
def test_sizes_are_those_that_torch_computes(suite: str) -> None:
    for layer in suites.load(suite):
        x = torch.empty(2, layer.in_channels, *layer.input_size, device="meta")
        weight = torch.empty(layer.weight_shape, device="meta")
        convolve = getattr(functional, layer.op)
        y = convolve(
            x,
            weight,
            None,
            stride=layer.stride,
            padding=layer.padding,
            dilation=layer.dilation,
            groups=layer.groups,
        )
        assert y.shape == (2, layer.out_channels, *layer.output_size), layer.name
        assert layer.bytes_moved(2) == x.numel() + weight.numel() + y.numel()


def test_a_regular_expression_selects_layers() -> None:
    assert [layer.name for layer in suites.load("mobilenet_v2", "dw.*@112")] == [
        "32->32 3x3 dw32 @112x112",
        "96->96 3x3 /2 dw96 @112x112",
    ]


def test_ratios_are_taken_within_rounds() -> None:
    times = {"ours": [1.0, 10.0, 2.0], "peer": [2.0, 20.0, 6.0]}
    assert timing.ratios(times, "ours") == {"peer": timing.Spread(2.0, 2.0, 2.5)}


def test_contestants_are_interleaved() -> None:
    order: list[str] = []

    class Recorded:
        def __init__(self, name: str) -> None:
            self.name = name

        def time_block(self, repetitions: int) -> float:
            order.append(self.name)
            return 1.0

    sampling = timing.Sampling(rounds=3, block_microseconds=10)
    times = timing.interleaved({name: Recorded(name) for name in "abc"}, sampling)
    assert times == {name: [1.0] * 3 for name in "abc"}
    assert "".join(order[-9:]) == "abcbcacab"


def record(name: str, count: int, ours: float, peer: float) -> dict[str, Any]:
    def contestant(microseconds: float) -> dict[str, Any]:
        return {"microseconds": {"median": microseconds}, "error": {"largest": 0}}

    ratio = {"ratio": {"median": peer / ours}}
    return {
        "name": name,
        "count": count,
        "multiply_adds": 10**8,
        "contestants": {"ours": contestant(ours), "peer": contestant(peer) | ratio},
    }


def test_the_summary_names_the_worst_layer_and_sums_the_network() -> None:
    found = summary.summary([record("a", 3, 1, 8), record("b", 1, 4, 2)])["peer"]
    assert found["geometric_mean"] == 2
    assert (found["worst"], found["worst_layer"], found["below_1"]) == (0.5, "b", ["b"])
    assert (found["network_microseconds"], found["our_network_microseconds"]) == (26, 7)


def test_scaling_is_summed_by_number_of_threads() -> None:
    records = [
        {"name": name, "multiply_adds": size, "threads": {"2": {"speedup": {"median": ratio}}}}
        for name, size, ratio in (("a", 10**8, 2.0), ("b", 10**6, 0.5))
    ]
    found = summary.scaling_summary(records, "2")
    assert (found["geometric_mean"], found["large"]) == (1, 2)
    assert (found["worst"], found["worst_layer"]) == (0.5, "b")
    assert summary.scaling_summary(records[1:], "2")["large"] is None


@pytest.mark.parametrize("name", instruction_sets.CAPS)
def test_every_library_is_held_to_the_instruction_set(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    onednn, fbgemm = instruction_sets.CAPS[name]
    for variable in (
        "TORCH_QCONV_ISA",
        "ONEDNN_MAX_CPU_ISA",
        "FBGEMM_ENABLE_INSTRUCTIONS",
    ):
        monkeypatch.setenv(variable, "left over")
    instruction_sets.hold_to(name)
    assert os.environ["TORCH_QCONV_ISA"] == name
    assert os.environ.get("ONEDNN_MAX_CPU_ISA") == onednn
    assert os.environ.get("FBGEMM_ENABLE_INSTRUCTIONS") == fbgemm


def run(script: str, *arguments: str, json_file: Path) -> dict[str, Any]:
    command = [sys.executable, str(BENCHMARKS / script), *arguments, "--quick", "--json"]
    subprocess.run([*command, str(json_file)], check=True, capture_output=True)
    result: dict[str, Any] = json.loads(json_file.read_text())
    return result


def run_layers(folder: Path, name: str, *arguments: str) -> dict[str, Any]:
    return run(
        "layers.py",
        *("--suite", "mobilenet_v2", "--layers", "160->960|dw960", *arguments),
        json_file=folder / f"{name}.json",
    )


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of each kind, as performance.py leaves them."""
    folder = tmp_path_factory.mktemp("figures")
    run_layers(folder, "one_thread", "--engine", "fbgemm", "--peers", "x86,our-qnnpack")
    run_layers(folder, "avx2", "--peers", "onednn", "--isa", "avx2", "--batch", "2")
    run("scaling.py", "--suite", "dcgan", "--threads", "2", json_file=folder / "scaling.json")
    run_layers(folder, "prepack", "--prepack")
    run("op_cost.py", json_file=folder / "op_cost.json")
    return folder


def test_epilogues_are_timed_beside_the_convolution_alone(tmp_path: Path) -> None:
    arguments = ("--suite", "mobilenet_v2", "--layers", "960->320")
    tables = run("epilogues.py", *arguments, json_file=tmp_path / "figures.json")["tables"]
    names = {what: set(records[0]["microseconds"]) for what, records in tables.items()}
    assert {"conv_relu", "conv_add_relu", "stock onednn conv_add_relu"} <= names["add"]
    assert names["outputs"] == {"uint8", "int8", "int8 in", "int8 both", "float32", "bfloat16"}
    assert {"none", "leaky_relu", "gelu", "add float32"} <= names["functions"]
    assert {"dynamic", "channels first", "stock fbgemm dynamic"} <= names["dynamic"]
    for records in tables.values():
        assert [record["layer"] for record in records] == ["960->320 1x1 @7x7"]
        assert all(spread["median"] > 0 for spread in records[0]["ratios"].values())


def test_layers_are_timed_and_held_to_the_reference(figures: Path) -> None:
    result = json.loads((figures / "one_thread.json").read_text())
    measured = result["suites"]["mobilenet_v2"]
    names = [entry["name"] for entry in measured["layers"]]
    assert names == ["160->960 1x1 @7x7", "960->960 3x3 dw960 @7x7"]
    for entry in measured["layers"]:
        assert set(entry["contestants"]) == {"ours", "stock x86", "our qnnpack"}
        ours = entry["contestants"]["ours"]
        assert ours["kernel"] == "fbgemm"
        assert ours["error"]["largest"] <= 1
        for contestant in entry["contestants"].values():
            times = contestant["microseconds"]
            assert 0 < times["low"] <= times["median"] <= times["high"]
            assert len(contestant["rounds"]) == 3
    assert set(measured["summary"]) == {"stock x86", "our qnnpack"}


def test_saturation_of_stock_shows_as_an_error(figures: Path) -> None:
    """FBGEMM's depthwise kernel saturates on full-range data, and x86 runs it for many groups."""
    measured = json.loads((figures / "one_thread.json").read_text())["suites"]["mobilenet_v2"]
    assert measured["layers"][1]["contestants"]["stock x86"]["error"]["largest"] > 1


def test_an_instruction_set_reaches_the_libraries(figures: Path) -> None:
    facts = json.loads((figures / "avx2.json").read_text())["facts"]
    engines = {entry["name"]: entry for entry in facts["engines"]}
    assert facts["environment"]["TORCH_QCONV_ISA"] == "avx2"
    assert engines["fbgemm"]["instruction_set"] == "avx2"
    if engines["onednn"]["available"]:
        assert engines["onednn"]["instruction_set"] == "avx2"


def test_packing_is_timed_into_reused_and_fresh_memory(figures: Path) -> None:
    measured = json.loads((figures / "prepack.json").read_text())["suites"]["mobilenet_v2"]
    for entry in measured["prepack"]:
        for name, contestant in entry["contestants"].items():
            assert ("ratio" in contestant["reused"]) == (name != "ours")
            assert contestant["fresh"]["microseconds"]["median"] > 0
    assert measured["prepack_summary"]["ratios"]["stock x86"]
    assert set(measured["prepack_summary"]["gb_s"]) == {"1x1"}  # the depthwise weight is small


def test_pytorchs_op_costs_less_on_our_objects_than_on_its_own(figures: Path) -> None:
    found = json.loads((figures / "op_cost.json").read_text())["ops"]
    ours = found["drop-in: conv2d_relu"]["microseconds"]
    assert ours["high"] < found["stock x86: conv2d_relu"]["microseconds"]["low"]


def test_tables_have_a_cell_for_each_column(figures: Path) -> None:
    for name in ("one_thread", "prepack"):
        result = json.loads((figures / f"{name}.json").read_text())
        for suite, measured in result["suites"].items():
            for table in tables.tables(suite, measured):
                assert {len(row) for row in [*table.body, *table.foot]} == {len(table.head)}
                assert table.body


def test_the_page_and_its_charts_are_made_from_files(figures: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="charts need matplotlib (make setup-dev)")
    performance = importlib.import_module("performance")
    page = performance.write_page([figures], tmp_path).read_text()
    for title in ("One thread, batch 1", "Held to AVX2", "Packing", "Cost of an op"):
        assert f"### {title}\n" in page
    assert "dcgan, batch 1: several threads against one" in page
    charts = sorted((tmp_path / "images").rglob("*.svg"))
    assert [chart.stem for chart in charts] == [
        "one_thread_mobilenet_v2_bars",
        "one_thread_mobilenet_v2_roofline",
    ]
    assert all(str(chart.relative_to(tmp_path)) in page for chart in charts)
    assert all("960-&gt;960 3x3 dw960" in chart.read_text() for chart in charts[:1])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--engine", "nothing"), "--engine must be one of"),
        (("--peers", "nothing"), "--peers may be x86"),
        (("--suite", "nothing"), "must be of dcgan"),
    ],
)
def test_a_wrong_option_is_explained(arguments: tuple[str, ...], words: str) -> None:
    command = [sys.executable, str(BENCHMARKS / "layers.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode != 0
    assert words in done.stderr
    assert "Traceback" not in done.stderr
