"""Digits on a canvas: pinned, and drawn as the description says."""

import numpy as np
import torch

from landscape.data import DATA, digits
from landscape.data.canvas_digits import canvases


def test_the_set_is_pinned():
    dataset = DATA["canvas-digits"](None)
    assert dataset.train_x.shape == (600, 1, 24, 24) and dataset.train_y.shape == (600, 24, 24)
    assert dataset.test_x.shape == (300, 1, 24, 24) and dataset.classes == 3
    assert dataset.train_x.min() == 0 and dataset.train_x.max() == 1
    assert dataset.fingerprint == (
        "8df797c96bd6ad0765c22fabaa14c36d393e98c9ea51b47e16489541647c59d1"
    )
    shares = dataset.train_y.flatten().bincount() / dataset.train_y.numel()
    assert torch.allclose(shares, torch.tensor([0.933, 0.035, 0.032]), atol=1e-3)


def test_an_image_by_hand():
    """The first test image, pixel by pixel, from the same draws."""
    source = digits.load()
    x, y = canvases(source.test_x, source.test_y, 1, 1)
    r = np.random.RandomState(1)
    image, mask = np.zeros((24, 24)), np.zeros((24, 24), int)
    for _ in range(r.randint(1, 4)):
        i, row, column = r.randint(500), r.randint(17), r.randint(17)
        for a in range(8):
            for b in range(8):
                ink = source.test_x[i, 0, a, b].item()
                image[row + a, column + b] = max(image[row + a, column + b], ink)
                if ink >= 0.5:
                    mask[row + a, column + b] = 1 if source.test_y[i] < 5 else 2
    image = np.clip(image + 0.25 * r.randn(1, 24, 24)[0], 0, 1)
    assert np.array_equal(mask, y[0]) and np.allclose(image, x[0, 0], atol=1e-7)
