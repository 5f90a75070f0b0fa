"""The embedded digits: whole, scaled, and with a test set that never moves."""

from pathlib import Path

import pytest
import torch

from landscape.data import DATA


def test_digits():
    dataset = DATA["digits"](None)
    assert dataset.train_x.shape == (1297, 1, 8, 8)
    assert dataset.test_x.shape == (500, 1, 8, 8)
    assert dataset.train_x.dtype == torch.float32
    assert dataset.train_y.dtype == torch.int64
    assert (dataset.train_x.min(), dataset.train_x.max()) == (0, 1)


@pytest.mark.slow  # imports scikit-learn, a second; the fingerprint below sees every change
def test_every_digit_is_there_once_with_its_class():
    from sklearn.datasets import load_digits

    dataset = DATA["digits"](Path("not-read"))
    x = torch.cat((dataset.train_x, dataset.test_x)).view(1797, 64) * 16
    y = torch.cat((dataset.train_y, dataset.test_y))
    pixels, labels = load_digits(return_X_y=True)
    ours = sorted(map(tuple, torch.column_stack((y, x)).tolist()))
    assert ours == sorted((float(c), *row) for c, row in zip(labels, pixels.tolist(), strict=True))


def test_the_test_set_is_pinned():
    """Results of different versions are comparable as long as this holds."""
    assert DATA["digits"](None).fingerprint == (
        "07dc89d6082ab3f5f3bd04f5c4d5aa2cfbcffc404dd4dd427dad701567365366"
    )
