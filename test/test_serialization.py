"""Packed objects survive copying, pickling and every way of torch.save, bit for bit."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ops
import pytest
import torch
from cases import feature_cases
from conv_case import ConvCase
from packed_examples import EXAMPLES, assert_same_params, every_example, facts
from torch import nn
from torch.package import PackageExporter, PackageImporter

import torch_qconv_prepack as qconv


def saved(params: Any, save: dict[str, Any], load: dict[str, Any]) -> Any:
    buffer = io.BytesIO()
    torch.save({"layers": [params]}, buffer, **save)
    buffer.seek(0)
    return torch.load(buffer, **load)["layers"][0]


def saved_and_allowed(params: Any) -> Any:
    with torch.serialization.safe_globals([torch.ScriptObject]):
        return saved(params, {}, {"weights_only": True})


def packaged(params: Any) -> Any:
    buffer = io.BytesIO()
    with PackageExporter(buffer) as exporter:
        exporter.save_pickle("model", "params.pkl", params)
    buffer.seek(0)
    return PackageImporter(buffer).load_pickle("model", "params.pkl")


OLD_FORMAT = {"_use_new_zipfile_serialization": False}
TRUSTED = {"weights_only": False}

ROUTES: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    # Protocols 0 and 1 end the process in torch, whatever the class of the object.
    **{
        f"pickle{protocol}": lambda params, p=protocol: pickle.loads(pickle.dumps(params, p))
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)
    },
    "torch.save": lambda params: saved(params, {}, TRUSTED),
    "torch.save-old_format": lambda params: saved(params, OLD_FORMAT, TRUSTED),
    "torch.save-protocol5": lambda params: saved(params, {"pickle_protocol": 5}, TRUSTED),
    "torch.save-weights_only": saved_and_allowed,
    # The state holds no tensors, so there is nothing that could land on the other device.
    "torch.save-map_to_cpu": lambda params: saved(params, {}, {**TRUSTED, "map_location": "cpu"}),
    "torch.save-map_to_meta": lambda params: saved(params, {}, {**TRUSTED, "map_location": "meta"}),
    "torch.package": packaged,
}


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("case", [*feature_cases(), *EXAMPLES], ids=str)
def test_round_trip_is_exact(case: ConvCase, route: str) -> None:
    data = case.data()
    params = ops.pack(data)
    before = facts(params)
    assert_same_params(ROUTES[route](params), params, data)
    assert facts(params) == before


@every_example
def test_file_that_is_mapped_into_memory(case: ConvCase, tmp_path: Path) -> None:
    data = case.data()
    params = ops.pack(data)
    torch.save(params, tmp_path / "f.pt")
    assert_same_params(torch.load(tmp_path / "f.pt", mmap=True, **TRUSTED), params, data)


def test_extreme_values_survive() -> None:
    weight = torch._make_per_channel_quantized_tensor(
        torch.tensor([-128, 127, 0, -1], dtype=torch.int8).reshape(4, 1, 1, 1),
        # Neither of the first two is a float32 number; the others are its smallest and largest.
        torch.tensor([0.1, 1 / 3, 2.0**-126, 3.4028234663852886e38], dtype=torch.float64),
        torch.tensor([-128, 127, 0, 1]),
        0,
    )
    bias = torch.tensor([-0.0, 1e-45, 3.4e38, -1.1754944e-38])
    params = ops.op("conv2d_prepack")(weight, bias, [2**15, 1], [2**20, 0], [1, 2**29], 1)
    for route, travel in ROUTES.items():
        assert facts(travel(params)) == facts(params), route


def test_stored_1d_and_2d_stay_apart() -> None:
    one, two = (ConvCase("c", dims=1).data(), ConvCase("c", kernel=(1, 3)).data())
    for travel in ROUTES.values():
        assert qconv.describe(travel(ops.pack(one))).kind == "conv1d"
        assert qconv.describe(travel(ops.pack(two))).kind == "conv2d"


def test_object_that_may_be_1d_or_2d_stays_so() -> None:
    data = ConvCase("conv1d", dims=1).data()
    either = qconv.from_quantized(ops.stock_pack(data, "fbgemm"))
    for travel in ROUTES.values():
        back = travel(either)
        assert facts(back) == facts(either)
        assert torch.equal(ops.run(data, back).int_repr(), ops.run(data, either).int_repr())


@pytest.mark.parametrize("old_format", [False, True])
def test_object_met_twice_is_saved_once(old_format: bool, tmp_path: Path) -> None:
    params = ops.pack(ConvCase("c", in_channels=64, out_channels=64).data())
    zipped = not old_format
    for name, objects in (("once", [params]), ("twice", [params, params])):
        torch.save(objects, tmp_path / name, _use_new_zipfile_serialization=zipped)
    first, second = torch.load(tmp_path / "twice", **TRUSTED)
    assert first is second
    once, twice = ((tmp_path / name).stat().st_size for name in ("once", "twice"))
    assert twice < once + 1000


class Block(nn.Module):
    def __init__(self, params: Any) -> None:
        super().__init__()
        self.params = params


@pytest.mark.parametrize("old_format", [False, True])
def test_whole_modules_are_saved_with_their_objects(old_format: bool) -> None:
    data = EXAMPLES[1].data()
    params = ops.pack(data)
    module = nn.Sequential(Block(params), nn.Linear(2, 2))
    back = saved(module, OLD_FORMAT if old_format else {}, TRUSTED)
    assert_same_params(back[0].params, params, data)
    assert torch.equal(back[1].weight, module[1].weight)
    assert_same_params(copy.deepcopy(module)[0].params, params, data)


def test_weights_only_load_names_what_to_allow() -> None:
    with pytest.raises(pickle.UnpicklingError, match=r"torch\.ScriptObject"):
        saved(ops.pack(EXAMPLES[1].data()), {}, {"weights_only": True})
