"""CIFAR-10: Krizhevsky 2009, "Learning multiple layers of features from tiny images"."""

from functools import partial
from pathlib import Path

import numpy as np
import torch

from landscape.data import byte_pickle
from landscape.data.augment import crop_and_flip
from landscape.data.dataset import DataSet
from landscape.data.files import Source
from landscape.data.images import black, normalise

LAYOUTS = ("cifar-10-batches-bin", "cifar-10-batches-py")
SOURCE = Source(
    "CIFAR-10",
    "the official batches, binary or Python,",
    tuple(f"{parent}/{layout}" for parent in ("cifar10", ".") for layout in (*LAYOUTS, ".")),
)

PIXELS = 3 * 32 * 32

# Per channel, of the Lookbehind authors' code (arXiv 2307.16704).
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616)


def load(data_dir: Path | None = None) -> DataSet:
    """50,000 training and 10,000 test images, x of shape (n, 3, 32, 32), ten classes.

    data_dir: folder with the official batches, or with `cifar-10-batches-bin`,
        `cifar-10-batches-py` or `cifar10` that holds them; default: the environment variable
        LANDSCAPE_DATA. The Python batches are pickles and are read without running them.

    Fewer training batches than five are accepted. The note then says how many images there are.
    Augmentation: random crop of 32 with 4 black pixels of padding, horizontal flip.

    Raises FileNotFoundError when a file is missing, ValueError when one is damaged.
    """
    test = SOURCE.find(data_dir, "test_batch.bin", "test_batch")
    names = [f"data_batch_{i}{test.suffix}" for i in range(1, 6)]
    paths = [test.with_name(name) for name in names if test.with_name(name).is_file()]
    paths = paths or [SOURCE.find(test.parent, names[0])]
    train_rows = np.concatenate([rows(path) for path in paths])
    test_rows = rows(test)
    found = {"training": (len(train_rows), 50_000), "test": (len(test_rows), 10_000)}
    return DataSet(
        name="cifar10",
        train_x=_images(train_rows),
        train_y=torch.tensor(train_rows[:, 0], dtype=torch.int64),
        test_x=_images(test_rows),
        test_y=torch.tensor(test_rows[:, 0], dtype=torch.int64),
        classes=10,
        augment=partial(crop_and_flip, padding=4, fill=black(MEAN, STD)),
        note=" ".join(f"{n:,} of the {m:,} {p} images." for p, (n, m) in found.items() if n != m),
    )


def rows(path: Path) -> np.ndarray:
    """The images of one batch, uint8 (n, 3073): the class, then 1,024 red, green, blue values.

    Raises ValueError when the file is no batch.
    """
    return _binary_rows(path) if path.suffix == ".bin" else _python_rows(path)


def _binary_rows(path: Path) -> np.ndarray:
    raw = path.read_bytes()
    if not raw or len(raw) % (1 + PIXELS):
        raise ValueError(f"{path} must hold {1 + PIXELS} bytes for each image. Got {len(raw)}.")
    batch = np.frombuffer(raw, np.uint8).reshape(-1, 1 + PIXELS)
    if batch[:, 0].max() > 9:
        raise ValueError(f"{path} must hold classes of 0 to 9. Got {batch[:, 0].max()}.")
    return batch


def _python_rows(path: Path) -> np.ndarray:
    batch = byte_pickle.load(path)
    fields = batch if isinstance(batch, dict) else {}
    data, labels = fields.get(b"data"), fields.get(b"labels")
    if not isinstance(data, byte_pickle.ByteArray) or not isinstance(labels, list):
        raise ValueError(f"{path} must be a dictionary with an array `data` and a list `labels`.")
    if data.values.shape != (len(labels), PIXELS):
        raise ValueError(
            f"{path} must hold {PIXELS} values for each of its {len(labels)} classes. "
            f"Got data of shape {data.values.shape}."
        )
    if wrong := [label for label in labels if label not in range(10)]:
        raise ValueError(f"{path} must hold classes of 0 to 9. Got {wrong[0]!r}.")
    return np.column_stack((np.array(labels, np.uint8), data.values))


def _images(batch: np.ndarray) -> torch.Tensor:
    return normalise(batch[:, 1:].reshape(-1, 3, 32, 32), MEAN, STD)
