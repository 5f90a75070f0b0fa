"""Fashion-MNIST: tiny files of its format, and the published ones where they are at hand."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from landscape.data import DATA, fashion_mnist
from landscape.data.idx_images import FASHION_MNIST

IMAGES = np.arange(3 * 28 * 28).astype(np.uint8).reshape(3, 28, 28)
LABELS = np.array([9, 0, 4], np.uint8)


def idx_bytes(array: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def write(folder: Path, *, packed: bool = True, **replaced: np.ndarray) -> Path:
    """Three training images and two test images; an array may be replaced by its part's name."""
    parts = {
        "train-images-idx3-ubyte": replaced.get("images", IMAGES),
        "train-labels-idx1-ubyte": replaced.get("labels", LABELS),
        "t10k-images-idx3-ubyte": IMAGES[1:],
        "t10k-labels-idx1-ubyte": LABELS[1:],
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in parts.items():
        raw = idx_bytes(array)
        path = folder / (f"{name}.gz" if packed else name)
        path.write_bytes(gzip.compress(raw, mtime=0) if packed else raw)
    return folder


@pytest.mark.parametrize("folder", [".", "fashion-mnist", "FashionMNIST/raw"])
@pytest.mark.parametrize("packed", [True, False])
def test_images_and_classes_arrive(folder, packed, tmp_path):
    write(tmp_path / folder, packed=packed)
    dataset = DATA["fashion-mnist"](tmp_path)
    expected = (torch.tensor(IMAGES[:, None]) / 255 - 0.2860) / 0.3530
    torch.testing.assert_close(dataset.train_x, expected)
    torch.testing.assert_close(dataset.test_x, expected[1:])
    assert dataset.train_y.tolist() == [9, 0, 4]
    assert dataset.test_y.tolist() == [0, 4]


def test_a_part_of_the_training_images_is_the_same_every_time(tmp_path):
    write(tmp_path)
    rows = np.sort(np.random.RandomState(0).permutation(3)[:2])
    part = DATA["fashion-mnist"](tmp_path, examples=2)
    assert part.train_y.tolist() == LABELS[rows].tolist() and len(part.test_y) == 2
    for count in (0, 4):
        with pytest.raises(ValueError, match="`examples` must be between 1 and 3"):
            DATA["fashion-mnist"](tmp_path, examples=count)


def test_the_folder_may_stand_in_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("LANDSCAPE_DATA", str(write(tmp_path)))
    assert DATA["fashion-mnist"](None).train_x.shape == (3, 1, 28, 28)


def test_other_files_than_the_published_are_noted(tmp_path):
    note = fashion_mnist(write(tmp_path)).note
    for name in FASHION_MNIST.md5:
        assert f"{name}.gz is not the published file (MD5 " in note
    unpacked = fashion_mnist(write(tmp_path / "plain", packed=False)).note
    assert unpacked.count("was unpacked and could not be compared with the published file.") == 4


@pytest.mark.parametrize("name", FASHION_MNIST.md5)
def test_a_missing_file_is_named(name, tmp_path):
    (write(tmp_path) / f"{name}.gz").unlink()
    with pytest.raises(FileNotFoundError) as caught:
        fashion_mnist(tmp_path)
    assert str(caught.value) == (
        f"Fashion-MNIST needs {name}.gz in {tmp_path}. Put the four idx files there "
        "or name their folder with --data-dir or LANDSCAPE_DATA."
    )


def test_a_file_cut_short_is_named(tmp_path):
    path = write(tmp_path) / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match=f"{path} must be a complete gzip file"):
        fashion_mnist(tmp_path)


@pytest.mark.parametrize(
    ("replaced", "message"),
    [
        ({"images": IMAGES[:, :, :14]}, "must hold n x 28 x 28 values. Got 3 x 28 x 14"),
        ({"labels": LABELS[:2]}, "`train_y` must hold one class for each of the 3 examples"),
        ({"labels": LABELS + 1}, r"`train_y` must lie in \[0, 10\). Got 10"),
    ],
)
def test_wrong_shapes_and_classes_are_refused(replaced, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        fashion_mnist(write(tmp_path, **replaced))


@pytest.mark.slow
def test_the_published_files():
    """Sizes, no note (all four checksums agree), and mean 0 and deviation 1 to four digits."""
    try:
        dataset = fashion_mnist(None)
    except FileNotFoundError as missing:
        pytest.skip(str(missing))
    assert dataset.train_x.shape == (60_000, 1, 28, 28)
    assert dataset.test_x.shape == (10_000, 1, 28, 28)
    assert dataset.note == ""
    assert dataset.train_y.bincount().tolist() == [6000] * 10
    assert dataset.test_y.bincount().tolist() == [1000] * 10
    assert abs(dataset.train_x.mean().item()) < 2e-4
    assert abs(dataset.train_x.std().item() - 1) < 2e-4
