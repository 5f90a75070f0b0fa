"""The four idx files of MNIST and of the sets made in its form: 28x28 grey images, ten classes."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from landscape.data import idx
from landscape.data.dataset import DataSet
from landscape.data.files import Source, compared
from landscape.data.images import normalise

IMAGES, LABELS = "{part}-images-idx3-ubyte", "{part}-labels-idx1-ubyte"


def load(
    name: str,
    source: Source,
    md5: dict[str, str],
    mean: tuple[float],
    std: tuple[float],
    data_dir: Path | None,
) -> DataSet:
    """All images of the four files, x of shape (n, 1, 28, 28).

    md5: of the published .gz files, by name without .gz.
    mean, std: of the training pixels in [0, 1].

    A file that is well formed but not the published one is read, and the note says so.

    Raises FileNotFoundError when a file is missing, ValueError when one is damaged.
    """

    def part(part: str) -> tuple[Tensor, Tensor, list[str]]:
        images, image_note = _read(source, md5, data_dir, IMAGES.format(part=part), (None, 28, 28))
        labels, label_note = _read(source, md5, data_dir, LABELS.format(part=part), (None,))
        x = normalise(images[:, None], mean, std)
        y = torch.tensor(labels, dtype=torch.int64)
        return x, y, [note for note in (image_note, label_note) if note]

    train_x, train_y, train_notes = part("train")
    test_x, test_y, test_notes = part("t10k")
    return DataSet(
        name=name,
        train_x=train_x,
        train_y=train_y,
        test_x=test_x,
        test_y=test_y,
        classes=10,
        note=" ".join(train_notes + test_notes),
    )


def _read(
    source: Source,
    md5: dict[str, str],
    data_dir: Path | None,
    name: str,
    shape: tuple[int | None, ...],
) -> tuple[np.ndarray, str]:
    """One file's array, and a note where it is not known to be the published one."""
    path = source.find(data_dir, f"{name}.gz", name)
    note = f"{name} was unpacked and could not be compared with the published file."
    if path.suffix == ".gz":
        note = compared(path, md5[name])
    return idx.array(idx.unpacked(path), shape, path), note
