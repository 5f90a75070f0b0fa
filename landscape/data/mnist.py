"""MNIST: LeCun, Bottou, Bengio, Haffner, Proceedings of the IEEE 1998, 28x28 handwritten digits."""

from pathlib import Path

from landscape.data import idx_images
from landscape.data.dataset import DataSet
from landscape.data.files import Source

SOURCE = Source("MNIST", "the four idx files", ("mnist", "MNIST/raw", "."))

# MD5 of the published .gz files, as torchvision lists them.
MD5 = {
    "train-images-idx3-ubyte": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte": "ec29112dd5afa0611ce80d1b7f02629c",
}

# Of the 60,000 training images, as usual.
MEAN, STD = (0.1307,), (0.3081,)


def load(data_dir: Path | None = None) -> DataSet:
    """60,000 training and 10,000 test images, x of shape (n, 1, 28, 28), ten classes.

    data_dir: folder with the four idx files, as published (.gz) or unpacked, or with a folder
        `mnist` that holds them; default: the environment variable LANDSCAPE_DATA.

    A file that is well formed but not the published one is read, and the note says so.

    Raises FileNotFoundError when a file is missing, ValueError when one is damaged.
    """
    return idx_images.load("mnist", SOURCE, MD5, MEAN, STD, data_dir)
