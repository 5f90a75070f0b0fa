"""Digits on a noisy canvas, with a class for each pixel: a small segmentation set, generated."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from landscape.data import digits
from landscape.data.dataset import DataSet

SIZE, DIGIT = 24, 8  # pixels along an edge, of a canvas and of a digit
TRAIN_EXAMPLES, TEST_EXAMPLES = 600, 300
NOISE = 0.25  # standard deviation


def load(data_dir: Path | None = None) -> DataSet:
    """600 training and 300 test images, x (n, 1, 24, 24) in [0, 1], y int64 (n, 24, 24).

    data_dir: not read, the digits come with scikit-learn.

    Classes: 0 background, 1 the digits 0 to 4, 2 the digits 5 to 9; 93 % of the pixels are
    background. Each image holds one to three digits of its own part of the `digits` set, so none is
    in both; it is drawn from numpy's frozen `RandomState`, 0 for training and 1 for tests.
    """
    source = digits.load()
    train_x, train_y = canvases(source.train_x, source.train_y, TRAIN_EXAMPLES, 0)
    test_x, test_y = canvases(source.test_x, source.test_y, TEST_EXAMPLES, 1)
    return DataSet("canvas-digits", train_x, train_y, test_x, test_y, classes=3)


def canvases(x: Tensor, y: Tensor, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Images (count, 1, 24, 24) and their classes (count, 24, 24), of digits x (n, 1, 8, 8).

    A digit's pixels are joined by their maximum; it is labelled where it is at least half black,
    a later digit over an earlier one. Then noise is added, and clipped to [0, 1].
    """
    pixels, labels = x[:, 0].double().numpy(), y.numpy()
    r = np.random.RandomState(seed)
    images = np.zeros((count, 1, SIZE, SIZE))
    classes = np.zeros((count, SIZE, SIZE), np.int64)
    for image, mask in zip(images, classes, strict=True):
        for _ in range(r.randint(1, 4)):
            i = r.randint(len(pixels))
            row, column = (r.randint(SIZE - DIGIT + 1) for _ in range(2))
            at = slice(row, row + DIGIT), slice(column, column + DIGIT)
            image[0][at] = np.maximum(image[0][at], pixels[i])
            mask[at][pixels[i] >= 0.5] = 1 if labels[i] < 5 else 2
        image += NOISE * r.randn(1, SIZE, SIZE)
    return torch.tensor(images.clip(0, 1), dtype=torch.float32), torch.tensor(classes)
