"""ResNet-50, MobileNetV2 and ShuffleNetV2 as modules of PyTorch's eager quantization.

Shapes are those of the papers, as widely used for ImageNet: He et al., "Deep Residual Learning",
arXiv:1512.03385, the stride in the 3x3 convolution; Sandler et al., "MobileNetV2",
arXiv:1801.04381, width 1.0; Ma et al., "ShuffleNet V2", arXiv:1807.11164, width 1.0. All take
[batch, 3, 224, 224]. Weights are random.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.ao.nn.quantized import FloatFunctional
from torch.ao.quantization import (
    DeQuantStub,
    QuantStub,
    convert,
    fuse_modules,
    get_default_qconfig,
    prepare,
)

CLASSES = 1000
SIZE = 224


def conv(
    inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1, relu: bool = True
) -> nn.Module:
    """A convolution that keeps the size but for its stride, normalized, with ReLU or without."""
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    # So that the activations of a network that nobody trained keep their size.
    nn.init.kaiming_normal_(layers[0].weight, mode="fan_out")
    layers += [nn.ReLU()] if relu else []
    return Fusible(*layers)


class Fusible(nn.Sequential):
    """Becomes one module when it is quantized."""


def classifier(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(1), nn.Linear(channels, CLASSES))


class Bottleneck(nn.Module):
    """ResNet's block: 1x1, 3x3, 1x1 and a sum."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = 4 * width
        self.body = nn.Sequential(
            conv(inputs, width),
            conv(width, width, 3, stride),
            conv(width, outputs, relu=False),
        )
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else conv(inputs, outputs, 1, stride, relu=False)
        self.sum = FloatFunctional()

    def forward(self, x: Tensor) -> Tensor:
        return self.sum.add_relu(self.body(x), self.shortcut(x))


def resnet50() -> nn.Module:
    layers: list[nn.Module] = [conv(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1)]
    inputs = 64
    for width, blocks, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for index in range(blocks):
            layers.append(Bottleneck(inputs, width, stride if index == 0 else 1))
            inputs = 4 * width
    return nn.Sequential(*layers, classifier(inputs))


class InvertedResidual(nn.Module):
    """MobileNetV2's block: 1x1 that widens, depthwise 3x3, 1x1, and a sum where sizes allow."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.body = nn.Sequential(
            *([conv(inputs, hidden)] if expansion > 1 else []),
            conv(hidden, hidden, 3, stride, groups=hidden),
            conv(hidden, outputs, relu=False),
        )
        self.adds = stride == 1 and inputs == outputs
        self.sum = FloatFunctional()

    def forward(self, x: Tensor) -> Tensor:
        return self.sum.add(x, self.body(x)) if self.adds else self.body(x)


def mobilenet_v2() -> nn.Module:
    layers: list[nn.Module] = [conv(3, 32, 3, 2)]
    inputs = 32
    for expansion, outputs, blocks, stride in (
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2),
        (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
    ):  # fmt: skip
        for index in range(blocks):
            layers.append(InvertedResidual(inputs, outputs, stride if index == 0 else 1, expansion))
            inputs = outputs
    return nn.Sequential(*layers, conv(inputs, 1280), classifier(1280))


class ShuffleUnit(nn.Module):
    """ShuffleNetV2's block: two branches side by side, their channels shuffled.

    Where the stride is 1 the first branch is half of the channels as they are.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        half = outputs // 2
        self.splits = stride == 1
        self.first = nn.Identity() if self.splits else nn.Sequential(
            conv(inputs, inputs, 3, stride, groups=inputs, relu=False), conv(inputs, half)
        )  # fmt: skip
        self.second = nn.Sequential(
            conv(half if self.splits else inputs, half),
            conv(half, half, 3, stride, groups=half, relu=False),
            conv(half, half),
        )
        self.both = FloatFunctional()

    def forward(self, x: Tensor) -> Tensor:
        if self.splits:
            left, right = torch.chunk(x, 2, 1)
        else:
            left, right = x, x
        y = self.both.cat([self.first(left), self.second(right)], 1)
        batch, channels, height, width = y.shape
        y = y.reshape(batch, 2, channels // 2, height, width).transpose(1, 2)
        return y.reshape(batch, channels, height, width)


def shufflenet_v2() -> nn.Module:
    layers: list[nn.Module] = [conv(3, 24, 3, 2), nn.MaxPool2d(3, 2, 1)]
    inputs = 24
    for outputs, blocks in ((116, 4), (232, 8), (464, 4)):
        for index in range(blocks):
            layers.append(ShuffleUnit(inputs, outputs, 2 if index == 0 else 1))
            inputs = outputs
    return nn.Sequential(*layers, conv(inputs, 1024), classifier(1024))


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "resnet50": resnet50,
    "mobilenet_v2": mobilenet_v2,
    "shufflenet_v2": shufflenet_v2,
}


def quantized(name: str, engine: str) -> nn.Module:
    """The network quantized after training, calibrated on noise, packed by PyTorch's engine.

    Takes and returns float tensors.
    """
    torch.manual_seed(0)
    network = nn.Sequential(QuantStub(), NETWORKS[name](), DeQuantStub())
    noise = torch.randn(4, 3, SIZE, SIZE)
    with torch.no_grad():
        network.train()(noise)  # statistics of the normalizations
        network.eval()
        for module in network.modules():
            if isinstance(module, Fusible):
                fuse_modules(module, [[str(index) for index in range(len(module))]], inplace=True)
        network.qconfig = get_default_qconfig(engine)
        prepare(network, inplace=True)
        network(noise)
        torch.backends.quantized.engine = engine
        return convert(network, inplace=True)
