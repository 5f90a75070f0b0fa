"""The 8x8 handwritten digits that scikit-learn carries: a UCI test set of 1,797 images."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from landscape.data.dataset import DataSet

TEST_EXAMPLES = 500


def load(
    data_dir: Path | None = None, first: int = 0, classes: int = 10, labels: int | None = None
) -> DataSet:
    """1,297 training and 500 test images, x of shape (n, 1, 8, 8) in [0, 1], ten classes.

    data_dir: not read, the images come with scikit-learn.
    first, classes: the digits from `first` on, so many of them; they are numbered from 0.
    labels: training examples, the first so many; default all.

    Pixels are counts 0 ... 16, divided by 16. scikit-learn names no test set, so ours is fixed
    here: the first 500 places of numpy's `RandomState(0).permutation(1797)`, a stream that numpy
    has frozen, in that order; the training set is the rest, in that order.

    Raises ValueError where there are no such digits.
    """
    if not (first >= 0 and 1 <= classes <= 10 - first):
        raise ValueError(
            f"`first` and `classes` must name digits of 0 to 9. Got {first}, {classes}."
        )
    table = _table()
    table = table[np.random.RandomState(0).permutation(len(table))]
    x = torch.tensor(table[:, :-1] / 16, dtype=torch.float32).view(-1, 1, 8, 8)
    y = torch.tensor(table[:, -1], dtype=torch.int64)
    chosen = (y >= first) & (y < first + classes)
    test, train = chosen.clone(), chosen.clone()
    test[TEST_EXAMPLES:], train[:TEST_EXAMPLES] = False, False
    return DataSet(
        name="digits",
        train_x=x[train][:labels],
        train_y=y[train][:labels] - first,
        test_x=x[test],
        test_y=y[test] - first,
        classes=classes,
    )


def _table() -> np.ndarray:
    """Rows of 64 pixels and a class, shape (1797, 65).

    Read from scikit-learn's file without importing scikit-learn, which takes a second.
    """
    sklearn = find_spec("sklearn")
    assert sklearn is not None and sklearn.origin is not None
    return np.loadtxt(Path(sklearn.origin).parent / "datasets/data/digits.csv.gz", delimiter=",")
