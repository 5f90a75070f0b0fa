"""MNIST: its own files, checksums and normalisation; the form is Fashion-MNIST's."""

import gzip
import struct

import numpy as np
import pytest
import torch

from landscape.data import DATA, fashion_mnist, mnist
from landscape.data.idx_images import FASHION_MNIST, MNIST

IMAGES = np.arange(2 * 28 * 28).astype(np.uint8).reshape(2, 28, 28)
LABELS = np.array([9, 0], np.uint8)


def idx_bytes(array):
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def write(folder, labels=LABELS):
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("train", "t10k"):
        for name, array in (("images-idx3", IMAGES), ("labels-idx1", labels)):
            path = folder / f"{part}-{name}-ubyte.gz"
            path.write_bytes(gzip.compress(idx_bytes(array), mtime=0))
    return folder


@pytest.mark.parametrize("folder", [".", "mnist", "MNIST/raw"])
def test_images_and_classes_arrive(folder, tmp_path):
    write(tmp_path / folder)
    dataset = DATA["mnist"](tmp_path)
    expected = (torch.tensor(IMAGES[:, None]) / 255 - 0.1307) / 0.3081
    torch.testing.assert_close(dataset.train_x, expected)
    assert dataset.train_y.tolist() == [9, 0]
    assert dataset.name == "mnist"
    assert dataset.note.count("is not the published file (MD5 ") == 4


def test_each_set_is_taken_from_its_own_folder(tmp_path):
    """Both have files of the same names."""
    write(tmp_path / "mnist", LABELS)
    write(tmp_path / "fashion-mnist", LABELS - LABELS)
    assert mnist(tmp_path).train_y.tolist() == [9, 0]
    assert fashion_mnist(tmp_path).train_y.tolist() == [0, 0]
    assert not set(MNIST.md5.values()) & set(FASHION_MNIST.md5.values())


def test_no_image_at_all_is_refused(tmp_path):
    empty = {"images-idx3": IMAGES[:0], "labels-idx1": LABELS[:0]}
    write(tmp_path)
    for name, array in empty.items():
        path = tmp_path / f"train-{name}-ubyte.gz"
        path.write_bytes(gzip.compress(idx_bytes(array)))
    with pytest.raises(ValueError, match=r"`train_x` must hold at least one example. Got none."):
        mnist(tmp_path)


def test_a_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("landscape.data.archives.MOST_BYTES", 1000)
    with pytest.raises(ValueError, match=r"must unpack to at most 1000 bytes. Got more."):
        mnist(write(tmp_path))
