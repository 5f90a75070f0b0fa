"""Fashion-MNIST: Xiao, Rasul, Vollgraf 2017 (arXiv 1708.07747), 28x28 grey images of clothing."""

import hashlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from landscape.data import idx
from landscape.data.dataset import DataSet
from landscape.data.files import Source
from landscape.data.images import normalise

SOURCE = Source("Fashion-MNIST", "the four idx files", ("fashion-mnist", "FashionMNIST/raw", "."))

# MD5 of the published .gz files, as the authors' page lists them.
MD5 = {
    "train-images-idx3-ubyte": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte": "bb300cfdad3c16e7a12a480ee83cd310",
}

# Of the 60,000 training images: 0.28604 and 0.35302.
MEAN, STD = (0.2860,), (0.3530,)


def load(data_dir: Path | None = None) -> DataSet:
    """60,000 training and 10,000 test images, x of shape (n, 1, 28, 28), ten classes.

    data_dir: folder with the four idx files, as published (.gz) or unpacked, or with a folder
        `fashion-mnist` that holds them; default: the environment variable LANDSCAPE_DATA.

    A file that is well formed but not the published one is read, and the note says so.

    Raises FileNotFoundError when a file is missing, ValueError when one is damaged.
    """
    train_x, train_y, train_notes = _part(data_dir, "train")
    test_x, test_y, test_notes = _part(data_dir, "t10k")
    return DataSet(
        name="fashion-mnist",
        train_x=train_x,
        train_y=train_y,
        test_x=test_x,
        test_y=test_y,
        classes=10,
        note=" ".join(train_notes + test_notes),
    )


def _part(data_dir: Path | None, part: str) -> tuple[Tensor, Tensor, list[str]]:
    images, image_note = _read(data_dir, f"{part}-images-idx3-ubyte", (None, 28, 28))
    labels, label_note = _read(data_dir, f"{part}-labels-idx1-ubyte", (None,))
    x = normalise(images[:, None], MEAN, STD)
    y = torch.tensor(labels, dtype=torch.int64)
    return x, y, [note for note in (image_note, label_note) if note]


def _read(
    data_dir: Path | None, name: str, shape: tuple[int | None, ...]
) -> tuple[np.ndarray, str]:
    """One file's array, and a note where it is not known to be the published one."""
    path = SOURCE.find(data_dir, f"{name}.gz", name)
    note = f"{name} was unpacked and could not be compared with the published file."
    if path.suffix == ".gz":
        found = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        note = "" if found == MD5[name] else f"{path.name} is not the published file (MD5 {found})."
    return idx.array(idx.unpacked(path), shape, path), note
