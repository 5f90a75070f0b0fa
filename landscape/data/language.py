"""A plain text as a data set: blocks of bytes, and for each place the byte that comes next."""

import numpy as np
import torch
from torch import Tensor

from landscape.data.dataset import DataSet

LENGTH = 128  # of a block; the language model is made for it
BYTES = 256  # classes: a character of English is one byte
TEST_SHARE = 0.1  # of the text, its end


def dataset(name: str, text: str, where: str, note: str = "") -> DataSet:
    """x and y int64 (n, 128): y[i, j] is the byte that comes after x[i, j].

    Blocks follow each other without overlap and a rest is left out. The last tenth of the text is
    the test set, so no block of it touches the training set.

    where: the text is from, for errors. Raises ValueError where it is too short for a block each.
    """
    raw = np.frombuffer(text.encode(), np.uint8)
    cut = len(raw) - round(TEST_SHARE * len(raw))
    if len(raw) - cut < LENGTH + 1:
        least = round((LENGTH + 1) / TEST_SHARE)
        raise ValueError(f"{where} must hold at least {least} bytes of text. Got {len(raw)}.")
    (train_x, train_y), (test_x, test_y) = blocks(raw[:cut]), blocks(raw[cut:])
    return DataSet(
        name=name,
        train_x=train_x,
        train_y=train_y,
        test_x=test_x,
        test_y=test_y,
        classes=BYTES,
        note=note,
    )


def blocks(raw: np.ndarray, length: int = LENGTH) -> tuple[Tensor, Tensor]:
    """(n, length) of the bytes, and of those one later, n = (bytes - 1) // length."""
    n = (len(raw) - 1) // length
    values = torch.tensor(raw[: n * length + 1], dtype=torch.int64)
    return values[:-1].view(n, length), values[1:].view(n, length)
