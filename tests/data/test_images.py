"""Normalisation by hand."""

import numpy as np
import torch

from landscape.data.images import black, normalise


def test_normalise_by_hand_per_channel():
    raw = np.array([0, 51, 255, 102], np.uint8).reshape(1, 2, 1, 2)
    kept = raw.copy()
    x = normalise(raw, mean=(0.2, 0.5), std=(0.1, 0.25))
    assert x.dtype == torch.float32
    torch.testing.assert_close(x, torch.tensor([-2.0, 0.0, 2.0, -0.4]).view(1, 2, 1, 2))
    assert (raw == kept).all()


def test_black_is_what_becomes_of_zero():
    mean, std = (0.2, 0.5), (0.1, 0.25)
    x = normalise(np.zeros((1, 2, 1, 1), np.uint8), mean, std)
    torch.testing.assert_close(x.flatten(), torch.tensor(black(mean, std)))
