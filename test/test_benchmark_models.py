"""The benchmark of whole networks: they are the networks, and drop-in mode runs them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import networks
import pytest
import torch

# Of torchvision's models of these names.
PARAMETERS = {"resnet50": 25_557_032, "mobilenet_v2": 3_504_872, "shufflenet_v2": 2_278_604}
CONVOLUTIONS = {"resnet50": 53, "mobilenet_v2": 52, "shufflenet_v2": 56}


def test_every_network_is_known_here() -> None:
    assert set(networks.NETWORKS) == set(PARAMETERS)


@pytest.mark.parametrize("name", networks.NETWORKS)
def test_a_network_has_the_size_of_the_well_known_one(name: str) -> None:
    with torch.device("meta"):
        network = networks.NETWORKS[name]().eval()
        y = network(torch.empty(2, 3, networks.SIZE, networks.SIZE))
    assert y.shape == (2, networks.CLASSES)
    assert sum(p.numel() for p in network.parameters()) == PARAMETERS[name]
    found = [module for module in network.modules() if isinstance(module, torch.nn.Conv2d)]
    assert len(found) == CONVOLUTIONS[name]


def test_networks_are_timed_with_the_mode_off_and_on(tmp_path: Path) -> None:
    file = tmp_path / "models.json"
    script = Path(networks.__file__).with_name("models.py")
    command = [sys.executable, str(script), "--quick", "--networks", "shufflenet_v2", "--json"]
    result = subprocess.run([*command, str(file)], capture_output=True, text=True, check=True)
    assert "shufflenet_v2" in result.stdout
    figures = json.loads(file.read_text())
    for form in ("module", "torchscript"):
        found = figures["networks"]["shufflenet_v2"][form]
        assert found["off_ms"]["median"] > 2 * found["on_ms"]["median"] > 0
        assert found["ratio"]["low"] <= found["ratio"]["median"] <= found["ratio"]["high"]
        # Quanta of the last layer, which has some hundred.
        assert 0 <= found["difference"] < 0.1


def test_an_unknown_network_is_explained() -> None:
    script = Path(networks.__file__).with_name("models.py")
    command = [sys.executable, str(script), "--networks", "alexnet"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode != 0
    assert "--networks may be resnet50, mobilenet_v2, shufflenet_v2, got alexnet" in result.stderr
