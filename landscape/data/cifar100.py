"""CIFAR-100: Krizhevsky 2009, "Learning multiple layers of features from tiny images"."""

from functools import partial
from pathlib import Path

from landscape.data.augment import crop_and_flip
from landscape.data.cifar_batches import images, note, rows
from landscape.data.dataset import DataSet
from landscape.data.files import Source
from landscape.data.images import black

LAYOUTS = ("cifar-100-binary", "cifar-100-python")
SOURCE = Source(
    "CIFAR-100",
    "the official files, binary or Python,",
    tuple(f"{parent}/{layout}" for parent in ("cifar100", ".") for layout in (*LAYOUTS, ".")),
    {
        "cifar-100-binary.tar.gz": "03b5dce01913d631647c71ecec9e9cb8",
        "cifar-100-python.tar.gz": "eb9058c3a382ffc7106e4002c42a8d85",
    },
)

MD5 = {  # as torchvision lists them
    "train": "16019d7e3df5f24257cddd939b257f8d",
    "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
}

# Per channel, of the 50,000 training images.
MEAN, STD = (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)


def load(data_dir: Path | None = None) -> DataSet:
    """50,000 training and 10,000 test images, x of shape (n, 3, 32, 32), the 100 fine classes.

    data_dir: folder with the official files, or with `cifar-100-binary`, `cifar-100-python`,
        `cifar100` or a published archive that holds them; default: the environment variable
        LANDSCAPE_DATA. The Python files are pickles and are read without running them.

    The note says where images are missing, or files are not known to be the published ones.
    Augmentation: random crop of 32 with 4 black pixels of padding, horizontal flip.

    Raises FileNotFoundError when a file is missing, ValueError when one is damaged.
    """
    with SOURCE.opened(data_dir, "test.bin", "test") as (folder, of_archive):
        test = SOURCE.find(folder, "test.bin", "test")
        train = SOURCE.find(test.parent, f"train{test.suffix}")
        train_rows, test_rows = (
            rows(path, 100, "fine_labels", label_bytes=2) for path in (train, test)
        )
        said = of_archive or note(len(train_rows), len(test_rows), (train, test), MD5)
    train_x, train_y = images(train_rows, MEAN, STD)
    test_x, test_y = images(test_rows, MEAN, STD)
    return DataSet(
        name="cifar100",
        train_x=train_x,
        train_y=train_y,
        test_x=test_x,
        test_y=test_y,
        classes=100,
        augment=partial(crop_and_flip, padding=4, fill=black(MEAN, STD)),
        note=said,
    )
