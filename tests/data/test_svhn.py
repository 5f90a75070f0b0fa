"""SVHN from tiny files of its form."""

import numpy as np
import pytest
import torch
from scipy.io import savemat

from landscape.data import DATA
from landscape.data.svhn import STATISTICS


@pytest.fixture
def files(tmp_path):
    r = np.random.RandomState(0)
    for part, n in (("train", 5), ("test", 3)):
        x, y = r.randint(0, 256, (32, 32, 3, n)).astype(np.uint8), np.arange(10, 10 - n, -1)
        savemat(tmp_path / f"{part}_32x32.mat", {"X": x, "y": y[:, None]})
    return tmp_path


def test_images_and_digits_arrive(files):
    data = DATA["svhn"](files)
    assert data.train_x.shape == (5, 3, 32, 32) and data.test_x.shape == (3, 3, 32, 32)
    assert data.train_y.tolist() == [0, 9, 8, 7, 6] and data.classes == 10
    raw = np.random.RandomState(0).randint(0, 256, (32, 32, 3, 5))
    expected = (raw[7, 11, 2, 3] / 255 - STATISTICS[0][2]) / STATISTICS[1][2]
    assert data.train_x[3, 2, 7, 11].item() == pytest.approx(expected, rel=1e-5)
    assert "train_32x32.mat is not the published file (MD5 " in data.note
    moved = data.augment(data.train_x, torch.Generator().manual_seed(0))
    assert moved.shape == data.train_x.shape and not torch.equal(moved, data.train_x)


def test_what_is_missing_or_damaged_is_one_line(files):
    (files / "test_32x32.mat").write_bytes(b"no MATLAB file")
    with pytest.raises(ValueError, match="is no MATLAB file with X and y"):
        DATA["svhn"](files)
    savemat(files / "test_32x32.mat", {"X": np.zeros((3, 3)), "y": np.ones(3)})
    with pytest.raises(ValueError, match=r"must hold X \(32, 32, 3, n\)"):
        DATA["svhn"](files)
    x = np.zeros((32, 32, 3, 1), np.uint8)
    savemat(files / "test_32x32.mat", {"X": x, "y": np.array([[11]])})
    with pytest.raises(ValueError, match="digits y from 1 to 10"):
        DATA["svhn"](files)
    (files / "test_32x32.mat").unlink()
    with pytest.raises(FileNotFoundError, match=r"SVHN needs test_32x32.mat"):
        DATA["svhn"](files)
