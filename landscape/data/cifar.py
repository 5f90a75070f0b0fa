"""CIFAR-10 and CIFAR-100: Krizhevsky 2009, "Learning multiple layers of features from tiny images".

Their files come in two forms: rows of bytes, and Python's pickles, which are not run.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from landscape.data import byte_pickle
from landscape.data.dataset import DataSet
from landscape.data.files import Source, compared
from landscape.data.images import black, crop_and_flip, normalise

PIXELS = 3 * 32 * 32
RGB = tuple[float, float, float]

CIFAR10 = Source(
    "CIFAR-10",
    "the official batches, binary or Python,",
    (
        *("cifar10/cifar-10-batches-bin", "cifar10/cifar-10-batches-py", "cifar10/."),
        *("./cifar-10-batches-bin", "./cifar-10-batches-py", "./."),
    ),
    {
        "cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530",
        "cifar-10-python.tar.gz": "c58f30108f718f92721af3b95e74349a",
    },
)
CIFAR100 = Source(
    "CIFAR-100",
    "the official files, binary or Python,",
    (
        *("cifar100/cifar-100-binary", "cifar100/cifar-100-python", "cifar100/."),
        *("./cifar-100-binary", "./cifar-100-python", "./."),
    ),
    {
        "cifar-100-binary.tar.gz": "03b5dce01913d631647c71ecec9e9cb8",
        "cifar-100-python.tar.gz": "eb9058c3a382ffc7106e4002c42a8d85",
    },
)

# The Python files as torchvision lists them, the binary ones from files of the published SHA-1.
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
    "train": "16019d7e3df5f24257cddd939b257f8d",
    "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
}

# Mean and deviation per channel: of CIFAR-10 from the Lookbehind authors' code (arXiv 2307.16704),
# of CIFAR-100 over the 50,000 training images.
STATISTICS_10: tuple[RGB, RGB] = (0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616)
STATISTICS_100: tuple[RGB, RGB] = (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)


def cifar10(data_dir: Path | None = None) -> DataSet:
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
    with CIFAR10.opened(data_dir, "test_batch.bin", "test_batch") as (folder, of_archive):
        test = CIFAR10.find(folder, "test_batch.bin", "test_batch")
        names = [f"data_batch_{i}{test.suffix}" for i in range(1, 6)]
        paths = [test.with_name(name) for name in names if test.with_name(name).is_file()]
        paths = paths or [CIFAR10.find(test.parent, names[0])]
        train_rows = np.concatenate([rows(path, 10, "labels") for path in paths])
        test_rows = rows(test, 10, "labels")
        said = of_archive or note(len(train_rows), len(test_rows), (*paths, test))
    return _dataset("cifar10", train_rows, test_rows, 10, STATISTICS_10, said)


def cifar100(data_dir: Path | None = None) -> DataSet:
    """50,000 training and 10,000 test images, x of shape (n, 3, 32, 32), the 100 fine classes.

    data_dir: folder with the official files, or with `cifar-100-binary`, `cifar-100-python`,
        `cifar100` or a published archive that holds them; default: the environment variable
        LANDSCAPE_DATA. The Python files are pickles and are read without running them.

    The note says where images are missing, or files are not known to be the published ones.
    Augmentation: random crop of 32 with 4 black pixels of padding, horizontal flip.

    Raises FileNotFoundError when a file is missing, ValueError when one is damaged.
    """
    with CIFAR100.opened(data_dir, "test.bin", "test") as (folder, of_archive):
        test = CIFAR100.find(folder, "test.bin", "test")
        train = CIFAR100.find(test.parent, f"train{test.suffix}")
        train_rows, test_rows = (
            rows(path, 100, "fine_labels", label_bytes=2) for path in (train, test)
        )
        said = of_archive or note(len(train_rows), len(test_rows), (train, test))
    return _dataset("cifar100", train_rows, test_rows, 100, STATISTICS_100, said)


def _dataset(
    name: str,
    train: np.ndarray,
    test: np.ndarray,
    classes: int,
    statistics: tuple[RGB, RGB],
    said: str,
) -> DataSet:
    (train_x, train_y), (test_x, test_y) = (images(part, *statistics) for part in (train, test))
    return DataSet(
        name=name,
        train_x=train_x,
        train_y=train_y,
        test_x=test_x,
        test_y=test_y,
        classes=classes,
        augment=partial(crop_and_flip, padding=4, fill=black(*statistics)),
        note=said,
    )


def images(batch: np.ndarray, mean: RGB, std: RGB) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows to normalised images, float32 (n, 3, 32, 32), and classes, int64 (n,)."""
    x = normalise(batch[:, 1:].reshape(-1, 3, 32, 32), mean, std)
    return x, torch.tensor(batch[:, 0], dtype=torch.int64)


def note(train: int, test: int, paths: Sequence[Path], published: Mapping[str, str] = MD5) -> str:
    """Note on missing images, or on files that are not the published ones.

    published: MD5 by name; a file that is not among them cannot be compared.
    """
    counts = {"training": (train, 50_000), "test": (test, 10_000)}
    if short := [f"{n:,} of the {m:,} {part} images." for part, (n, m) in counts.items() if n != m]:
        return " ".join(short)
    unknown = "{} could not be compared with the published file."
    said = (
        compared(p, published[p.name]) if p.name in published else unknown.format(p.name)
        for p in paths
    )
    return " ".join(line for line in said if line)


def rows(path: Path, classes: int, key: str, label_bytes: int = 1) -> np.ndarray:
    """The images of one file, uint8 (n, 3073): the class, then 1,024 red, green, blue values.

    key: of the labels in the Python form (no suffix).
    label_bytes: before the pixels in the binary form (.bin); the last of them is the class.

    Raises ValueError when the file is no batch.
    """
    if path.suffix == ".bin":
        return _binary_rows(path, classes, label_bytes)
    return _python_rows(path, classes, key)


def _binary_rows(path: Path, classes: int, label_bytes: int) -> np.ndarray:
    raw, length = path.read_bytes(), label_bytes + PIXELS
    if not raw or len(raw) % length:
        raise ValueError(f"{path} must hold {length} bytes for each image. Got {len(raw)}.")
    batch = np.frombuffer(raw, np.uint8).reshape(-1, length)[:, label_bytes - 1 :]
    if batch[:, 0].max() >= classes:
        raise ValueError(
            f"{path} must hold classes of 0 to {classes - 1}. Got {batch[:, 0].max()}."
        )
    return batch


def _python_rows(path: Path, classes: int, key: str) -> np.ndarray:
    batch = byte_pickle.load(path)
    fields = batch if isinstance(batch, dict) else {}
    data, labels = fields.get(b"data"), fields.get(key.encode())
    if not isinstance(data, byte_pickle.ByteArray) or not isinstance(labels, list):
        raise ValueError(f"{path} must be a dictionary with an array `data` and a list `{key}`.")
    if data.values.shape != (len(labels), PIXELS):
        raise ValueError(
            f"{path} must hold {PIXELS} values for each of its {len(labels)} classes. "
            f"Got data of shape {data.values.shape}."
        )
    if wrong := [label for label in labels if label not in range(classes)]:
        raise ValueError(f"{path} must hold classes of 0 to {classes - 1}. Got {wrong[0]!r}.")
    return np.column_stack((np.array(labels, np.uint8), data.values))
