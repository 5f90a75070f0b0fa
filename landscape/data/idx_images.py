"""MNIST and Fashion-MNIST: 28x28 grey images of ten classes, in four idx files each."""

import gzip
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from landscape.data.archives import most_bytes
from landscape.data.dataset import DataSet
from landscape.data.files import Source, compared
from landscape.data.images import normalise

IMAGES, LABELS = "{part}-images-idx3-ubyte", "{part}-labels-idx1-ubyte"


@dataclass(frozen=True)
class IdxFiles:
    """Four files in MNIST's form.

    md5: of the published .gz files, by name without .gz.
    mean, std: of the training pixels in [0, 1].
    """

    name: str
    source: Source
    md5: dict[str, str]
    mean: float
    std: float

    def load(self, data_dir: Path | None, examples: int | None = None) -> DataSet:
        """Images, x of shape (n, 1, 28, 28); the note names files that are not as published.

        examples: how many of the training images, see `chosen`; None: all.

        Raises FileNotFoundError when a file is missing, ValueError when one is damaged or
        `examples` are not there.
        """
        train_x, train_y, train_notes = self._part("train", data_dir)
        if examples is not None:
            rows = chosen(len(train_y), examples)
            train_x, train_y = train_x[rows], train_y[rows]
        test_x, test_y, test_notes = self._part("t10k", data_dir)
        return DataSet(
            name=self.name,
            train_x=train_x,
            train_y=train_y,
            test_x=test_x,
            test_y=test_y,
            classes=10,
            note=" ".join(train_notes + test_notes),
        )

    def _part(self, part: str, data_dir: Path | None) -> tuple[Tensor, Tensor, list[str]]:
        images, image_note = self._read(IMAGES.format(part=part), (None, 28, 28), data_dir)
        labels, label_note = self._read(LABELS.format(part=part), (None,), data_dir)
        x = normalise(images[:, None], (self.mean,), (self.std,))
        y = torch.tensor(labels, dtype=torch.int64)
        return x, y, [note for note in (image_note, label_note) if note]

    def _read(
        self, name: str, shape: tuple[int | None, ...], data_dir: Path | None
    ) -> tuple[np.ndarray, str]:
        """Array of a file, and a note where it is not known to be the published one."""
        path = self.source.find(data_dir, f"{name}.gz", name)
        note = f"{name} was unpacked and could not be compared with the published file."
        if path.suffix == ".gz":
            note = compared(path, self.md5[name])
        return array(unpacked(path), shape, path), note


# LeCun, Bottou, Bengio, Haffner, Proceedings of the IEEE 1998: handwritten digits. MD5 as
# torchvision lists them; mean and deviation of the 60,000 training images, as usual.
MNIST = IdxFiles(
    "mnist",
    Source("MNIST", "the four idx files", ("mnist", "MNIST/raw", ".")),
    {
        "train-images-idx3-ubyte": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte": "ec29112dd5afa0611ce80d1b7f02629c",
    },
    mean=0.1307,
    std=0.3081,
)

# Xiao, Rasul, Vollgraf 2017 (arXiv 1708.07747): clothing. MD5 as the authors' page lists them; mean
# and deviation of the 60,000 training images are 0.28604 and 0.35302.
FASHION_MNIST = IdxFiles(
    "fashion-mnist",
    Source("Fashion-MNIST", "the four idx files", ("fashion-mnist", "FashionMNIST/raw", ".")),
    {
        "train-images-idx3-ubyte": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte": "bb300cfdad3c16e7a12a480ee83cd310",
    },
    mean=0.2860,
    std=0.3530,
)


def mnist(data_dir: Path | None = None, examples: int | None = None) -> DataSet:
    """60,000 training and 10,000 test images, x of shape (n, 1, 28, 28), ten handwritten digits.

    data_dir: folder with the four idx files, as published (.gz) or unpacked, or with a folder
        `mnist` that holds them; default: the environment variable LANDSCAPE_DATA.
    examples: of the training images, chosen at random once and for all; default all.

    A file that is well formed but not the published one is read, and the note says so.

    Raises FileNotFoundError when a file is missing, ValueError when one is damaged.
    """
    return MNIST.load(data_dir, examples)


def fashion_mnist(data_dir: Path | None = None, examples: int | None = None) -> DataSet:
    """60,000 training and 10,000 test images, x of shape (n, 1, 28, 28), ten kinds of clothing.

    data_dir: as for `mnist`, the folder being `fashion-mnist`. examples, notes and errors as there.
    """
    return FASHION_MNIST.load(data_dir, examples)


def chosen(count: int, examples: int) -> torch.Tensor:
    """Rows (examples,) of `count`, ascending: the same in every process and for every seed.

    Raises ValueError for more than there are, or none.
    """
    if not 1 <= examples <= count:
        raise ValueError(f"`examples` must be between 1 and {count}. Got {examples}.")
    rows = np.random.RandomState(0).permutation(count)[:examples]
    return torch.from_numpy(np.sort(rows))


def unpacked(path: Path) -> bytes:
    """The bytes of a file, decompressed where its name ends in .gz.

    Raises ValueError when the compressed stream is damaged, cut short, or without end.
    """
    if path.suffix != ".gz":
        return path.read_bytes()
    most = most_bytes(path)
    try:
        with gzip.open(path) as file:
            raw = file.read(most + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path} must be a complete gzip file. Got: {error}.") from error
    if len(raw) > most:
        raise ValueError(f"{path} must unpack to at most {most} bytes. Got more.")
    return raw


def array(raw: bytes, shape: tuple[int | None, ...], path: Path) -> np.ndarray:
    """The uint8 array of an idx file, a read-only view of `raw`.

    shape: what it must be, None for any length: (None, 28, 28) for Fashion-MNIST's images.
    path: named in errors.

    Format: two zero bytes, 0x08 for unsigned bytes, the number of dimensions, each length in four
    bytes, then the values in row-major order.

    Raises ValueError when the magic number, the lengths or the number of bytes differ.
    """
    magic = bytes((0, 0, 8, len(shape)))
    header = 4 + 4 * len(shape)
    if raw[:4] != magic or len(raw) < header:
        raise ValueError(
            f"{path} must be an idx file of bytes in {len(shape)} dimensions, which begins "
            f"{magic.hex()}. Got {len(raw)} bytes that begin {raw[:4].hex() or 'with nothing'}."
        )
    found = struct.unpack(f">{len(shape)}I", raw[4:header])
    if any(want not in (None, length) for want, length in zip(shape, found, strict=True)):
        wanted = " x ".join("n" if want is None else str(want) for want in shape)
        raise ValueError(f"{path} must hold {wanted} values. Got {' x '.join(map(str, found))}.")
    if len(raw) - header != math.prod(found):
        raise ValueError(
            f"{path} must hold {math.prod(found)} bytes after its header. Got {len(raw) - header}."
        )
    return np.frombuffer(raw, np.uint8, offset=header).reshape(found)
