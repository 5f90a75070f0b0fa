"""Your own arrays with a class each: `train.npz` and `test.npz`, as numpy writes them."""

import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from landscape.data.dataset import DataSet
from landscape.data.files import Source

SOURCE = Source("A set of arrays", "train.npz and test.npz", (".",))


def load(data_dir: Path | None = None) -> DataSet:
    """Arrays `x` (n, ...) of numbers, taken as they are, and `y` (n,) of whole numbers from 0.

    data_dir: folder with `train.npz` and `test.npz`; default: the environment variable
        LANDSCAPE_DATA. Arrays of objects are pickles and are not read.

    Classes are as many as the largest of the training set says. x becomes float32.

    Raises FileNotFoundError when a file is missing, ValueError when one has other arrays.
    """
    paths = [SOURCE.find(data_dir, name) for name in ("train.npz", "test.npz")]
    (train_x, train_y), (test_x, test_y) = (_read(path) for path in paths)
    if train_x.shape[1:] != test_x.shape[1:]:
        raise ValueError(
            f"{paths[1]} must hold examples of shape {tuple(train_x.shape[1:])}, as train.npz. "
            f"Got {tuple(test_x.shape[1:])}."
        )
    return DataSet(
        name="npz",
        train_x=train_x,
        train_y=train_y,
        test_x=test_x,
        test_y=test_y,
        classes=int(train_y.max()) + 1,
    )


def _read(path: Path) -> tuple[Tensor, Tensor]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as found:
            x, y = found["x"], found["y"]
    except (ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} must hold arrays `x` and `y` of numbers. Got: {error}.") from None
    if y.ndim != 1 or not np.issubdtype(y.dtype, np.integer) or len(x) != len(y) or not len(y):
        raise ValueError(
            f"{path} must hold a whole number in `y` for each example in `x`, and at least one. "
            f"Got x {x.shape} and y {y.shape} of {y.dtype}."
        )
    if not np.issubdtype(x.dtype, np.number) or not np.isfinite(x).all():
        raise ValueError(f"{path} must hold finite numbers in `x`. Got {x.dtype}, or NaN.")
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y.astype(np.int64))
