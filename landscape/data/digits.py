"""The 8x8 handwritten digits that scikit-learn carries: a UCI test set of 1,797 images."""

from pathlib import Path

import numpy as np
import torch

from landscape.data.dataset import DataSet

TEST_EXAMPLES = 500


def load(data_dir: Path | None = None) -> DataSet:
    """1,297 training and 500 test images, x of shape (n, 1, 8, 8) in [0, 1], ten classes.

    data_dir: not read, the images come with scikit-learn.

    Pixels are counts 0 ... 16, divided by 16. scikit-learn names no test set, so ours is fixed
    here: the first 500 places of numpy's `RandomState(0).permutation(1797)`, a stream that numpy
    has frozen, in that order; the training set is the rest, in that order.
    """
    from sklearn.datasets import load_digits  # a second to import, and only this source needs it

    pixels, labels = load_digits(return_X_y=True)
    order = np.random.RandomState(0).permutation(len(labels))
    x = torch.tensor(pixels[order] / 16, dtype=torch.float32).view(-1, 1, 8, 8)
    y = torch.tensor(labels[order], dtype=torch.int64)
    return DataSet(
        name="digits",
        train_x=x[TEST_EXAMPLES:],
        train_y=y[TEST_EXAMPLES:],
        test_x=x[:TEST_EXAMPLES],
        test_y=y[:TEST_EXAMPLES],
        classes=10,
    )
