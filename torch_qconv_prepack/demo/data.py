"""Scikit-learn's handwritten digits: 1,797 grey images of 8x8 pixels, shipped in that package."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from torch_qconv_prepack._dependencies import require

IMAGE_SIZE = 8
CLASSES = 10
_TEST_FRACTION = 0.4  # 719 images, so that one image is 0.14 points of accuracy
_SPLIT_SEED = 0
_PIXEL_MAX = 16.0  # the images count the set pixels of 4x4 cells


@dataclass(frozen=True)
class Digits:
    """A fixed split: images float32 [N, 1, 8, 8] in [0, 1], labels int64 [N] in 0..9."""

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor


def load_digits() -> Digits:
    """Return the digits, split by a fixed seed with the same share of each digit on both sides.

    Raises:
        MissingDependencyError: scikit-learn is not installed.
    """
    datasets = require("demo", "demo", "sklearn.datasets", "scikit-learn")
    model_selection = require("demo", "demo", "sklearn.model_selection", "scikit-learn")
    pixels, labels = datasets.load_digits(return_X_y=True)
    parts = model_selection.train_test_split(
        pixels, labels, test_size=_TEST_FRACTION, random_state=_SPLIT_SEED, stratify=labels
    )
    train_pixels, test_pixels, train_labels, test_labels = map(torch.from_numpy, parts)
    return Digits(
        _images(train_pixels), train_labels.long(), _images(test_pixels), test_labels.long()
    )


def _images(pixels: Tensor) -> Tensor:
    return (pixels / _PIXEL_MAX).float().reshape(-1, 1, IMAGE_SIZE, IMAGE_SIZE)
