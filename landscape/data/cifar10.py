"""CIFAR-10: Krizhevsky 2009, "Learning multiple layers of features from tiny images"."""

from functools import partial
from pathlib import Path

import numpy as np

from landscape.data.augment import crop_and_flip
from landscape.data.cifar_batches import MEAN, STD, images, note, rows
from landscape.data.dataset import DataSet
from landscape.data.files import Source
from landscape.data.images import black

LAYOUTS = ("cifar-10-batches-bin", "cifar-10-batches-py")
SOURCE = Source(
    "CIFAR-10",
    "the official batches, binary or Python,",
    tuple(f"{parent}/{layout}" for parent in ("cifar10", ".") for layout in (*LAYOUTS, ".")),
    {
        "cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530",
        "cifar-10-python.tar.gz": "c58f30108f718f92721af3b95e74349a",
    },
)

# The Python batches as torchvision lists them, the binary ones from files of the published SHA-1.
MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
    "data_batch_1.bin": "5dd7e06a14cb22eb9f671a540d1b7c25",
    "data_batch_2.bin": "5ea93a67294ea407fff1d09f752e9692",
    "data_batch_3.bin": "942cd6a4bcdd0dd3c604fbe906cb4421",
    "data_batch_4.bin": "ae636b3ba5c66a11e91e8cb52e771fcb",
    "data_batch_5.bin": "53f37980c15c3d472c316c40844f3f0d",
}


def load(data_dir: Path | None = None) -> DataSet:
    """50,000 training and 10,000 test images, x of shape (n, 3, 32, 32), ten classes.

    data_dir: folder with the official batches, or with `cifar-10-batches-bin`,
        `cifar-10-batches-py`, `cifar10` or a published archive that holds them; default: the
        environment variable LANDSCAPE_DATA. The Python batches are pickles and are read without
        running them.

    Fewer training batches than five are accepted. The note then says how many images there are;
    where all are there it says which files are not known to be the published ones.
    Augmentation: random crop of 32 with 4 black pixels of padding, horizontal flip.

    Raises FileNotFoundError when a file is missing, ValueError when one is damaged.
    """
    with SOURCE.opened(data_dir, "test_batch.bin", "test_batch") as (folder, of_archive):
        test = SOURCE.find(folder, "test_batch.bin", "test_batch")
        names = [f"data_batch_{i}{test.suffix}" for i in range(1, 6)]
        paths = [test.with_name(name) for name in names if test.with_name(name).is_file()]
        paths = paths or [SOURCE.find(test.parent, names[0])]
        train_rows = np.concatenate([rows(path, 10, "labels") for path in paths])
        test_rows = rows(test, 10, "labels")
        said = of_archive or note(len(train_rows), len(test_rows), (*paths, test), MD5)
    train_x, train_y = images(train_rows)
    test_x, test_y = images(test_rows)
    return DataSet(
        name="cifar10",
        train_x=train_x,
        train_y=train_y,
        test_x=test_x,
        test_y=test_y,
        classes=10,
        augment=partial(crop_and_flip, padding=4, fill=black(MEAN, STD)),
        note=said,
    )
