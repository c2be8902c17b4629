"""The demo's network as a list of convolutions, and its float32 form with the training loop."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from .data import CLASSES, Digits

_BATCH = 64
_LEARNING_RATE = 1e-2
# Keeps the logits small, so that a step of the 8-bit logits is far below the gap between classes.
_LABEL_SMOOTHING = 0.1


@dataclass(frozen=True)
class ConvLayer:
    """One 2-D convolution with a square kernel, and what stands around it.

    `relu` is fused into its output; `pool` averages its input over all pixels first.
    """

    name: str
    in_channels: int
    out_channels: int
    kernel_size: int
    stride: int = 1
    padding: int = 0
    groups: int = 1
    transposed: bool = False
    relu: bool = True
    pool: bool = False


# A depthwise-separable pair, an hourglass (down to 4x4 pixels and up again), a grouped convolution,
# and a 1x1 convolution as classifier. The linear layers give activations a zero point above 0.
# The transposed layer keeps the number of channels and has no fused ReLU so that stock PyTorch can
# run the same network: it is wrong where the numbers differ, and has no such fused op.
LAYERS = (
    ConvLayer("stem", 1, 16, 3, padding=1),
    ConvLayer("depthwise", 16, 16, 3, padding=1, groups=16),
    ConvLayer("pointwise", 16, 32, 1, relu=False),
    ConvLayer("down", 32, 32, 3, stride=2, padding=1),
    ConvLayer("up", 32, 32, 4, stride=2, padding=1, transposed=True, relu=False),
    ConvLayer("grouped", 32, 64, 3, stride=2, padding=1, groups=4),
    ConvLayer("classifier", 64, CLASSES, 1, relu=False, pool=True),
)


class FloatNetwork(nn.Module):
    """LAYERS in float32: images [N, 1, 8, 8] to logits [N, 10]."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(_float_convolution(layer) for layer in LAYERS)

    def forward(self, images: Tensor) -> Tensor:
        for activation in self.activations(images):
            logits = activation
        return logits.flatten(1)

    def activations(self, images: Tensor) -> Iterator[Tensor]:
        """Yield the output of each layer in turn, after its ReLU."""
        activation = images
        for layer, convolution in zip(LAYERS, self.convolutions, strict=True):
            if layer.pool:
                activation = activation.mean((2, 3), keepdim=True)
            activation = convolution(activation)
            if layer.relu:
                activation = functional.relu(activation)
            yield activation


def _float_convolution(layer: ConvLayer) -> nn.Module:
    kind = nn.ConvTranspose2d if layer.transposed else nn.Conv2d
    convolution: nn.Module = kind(
        layer.in_channels,
        layer.out_channels,
        layer.kernel_size,
        stride=layer.stride,
        padding=layer.padding,
        groups=layer.groups,
    )
    # Keeps the variance of the activations from layer to layer, in place of batch normalization: He
    # et al., "Delving deep into rectifiers", 2015. An output of a transposed layer sums the taps
    # that meet it, which are k**2 / stride**2 of the kernel.
    taps = (layer.kernel_size / layer.stride) ** 2 if layer.transposed else layer.kernel_size**2
    variance = (2.0 if layer.relu else 1.0) / (layer.in_channels / layer.groups * taps)
    nn.init.normal_(convolution.get_parameter("weight"), std=variance**0.5)
    nn.init.zeros_(convolution.get_parameter("bias"))
    return convolution


def train(digits: Digits, epochs: int, seed: int, on_epoch: Callable[[], None]) -> FloatNetwork:
    """Train a network on the training images; `on_epoch` is called after each epoch.

    Runs on one thread, so that the result does not depend on the number of cores; layers as small
    as these gain little from more. Leaves the caller's random state as it was.
    """
    count = len(digits.train_labels)
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = FloatNetwork()
        optimizer = torch.optim.Adam(network.parameters(), lr=_LEARNING_RATE)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, _LEARNING_RATE, total_steps=epochs * -(-count // _BATCH)
        )
        for _ in range(epochs):
            for batch in torch.split(torch.randperm(count), _BATCH):
                loss = functional.cross_entropy(
                    network(digits.train_images[batch]),
                    digits.train_labels[batch],
                    label_smoothing=_LABEL_SMOOTHING,
                )
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
            on_epoch()
    return network.eval().requires_grad_(False)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Keep torch to one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
