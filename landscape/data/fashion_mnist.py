"""Fashion-MNIST: Xiao, Rasul, Vollgraf 2017 (arXiv 1708.07747), 28x28 grey images of clothing."""

from pathlib import Path

from landscape.data import idx_images
from landscape.data.dataset import DataSet
from landscape.data.files import Source

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
    return idx_images.load("fashion-mnist", SOURCE, MD5, MEAN, STD, data_dir)
