"""Your own arrays with a class each: `train.npz` and `test.npz`, as numpy writes them."""

import io
import lzma
import math
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from landscape.data.archives import most_bytes
from landscape.data.dataset import MOST_CLASSES, DataSet
from landscape.data.files import Source
from landscape.utils.files import one_line

SOURCE = Source("A set of arrays", "train.npz and test.npz", (".",))

DAMAGED = (
    ValueError, KeyError, EOFError, TypeError, SyntaxError, RecursionError, MemoryError,
    NotImplementedError, RuntimeError, OverflowError, IndexError,
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError,
)  # fmt: skip


def load(data_dir: Path | None = None) -> DataSet:
    """Arrays `x` (n, ...) of real numbers, taken as they are, and `y` (n,) of whole ones from 0.

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
    classes = int(train_y.max()) + 1
    if int(test_y.max()) >= classes:
        raise ValueError(
            f"{paths[1]} must hold classes of 0 to {classes - 1} in `y`, as train.npz. "
            f"Got {int(test_y.max())}."
        )
    return DataSet(
        name="npz",
        train_x=train_x,
        train_y=train_y,
        test_x=test_x,
        test_y=test_y,
        classes=classes,
    )


def _read(path: Path) -> tuple[Tensor, Tensor]:
    try:
        with zipfile.ZipFile(path) as archive:
            x, y = (_array(archive, name, most_bytes(path)) for name in ("x", "y"))
    except DAMAGED as error:
        if isinstance(error, OSError) and error.errno:  # of the disk, not of the file
            raise
        raise ValueError(
            f"{path} must hold arrays `x` and `y` of numbers. Got: {one_line(error)}."
        ) from None
    lengths = x.shape[:1] == y.shape and len(y) > 0 if x.ndim else False
    if not lengths or not np.issubdtype(y.dtype, np.integer):
        raise ValueError(
            f"{path} must hold a whole number in `y` for each example in `x`, and at least one. "
            f"Got x {x.shape} and y {y.shape} of {y.dtype}."
        )
    for label in (y.min(), y.max()):
        if not 0 <= label < MOST_CLASSES:
            raise ValueError(
                f"{path} must hold classes of 0 to {MOST_CLASSES - 1} in `y`. Got {label}."
            )
    return _real(x, path), torch.tensor(y.astype(np.int64))


def _real(x: np.ndarray, path: Path) -> Tensor:
    """Float32 of an array of real numbers; ValueError where they do not fit."""
    if not np.issubdtype(x.dtype, np.integer) and not np.issubdtype(x.dtype, np.floating):
        raise ValueError(f"{path} must hold finite numbers in `x`. Got {x.dtype}.")
    with np.errstate(over="ignore"):
        single = x.astype(np.float32)
    if not np.isfinite(single).all():
        raise ValueError(
            f"{path} must hold finite numbers in `x` that fit into 32 bits. "
            "Got NaN, infinity or larger ones."
        )
    return torch.from_numpy(single)


def _array(archive: zipfile.ZipFile, name: str, most: int) -> np.ndarray:
    """Array of a file; its header is held against its size before anything is unpacked."""
    info = archive.getinfo(f"{name}.npy")
    if info.file_size > most:
        raise ValueError(f"`{name}` of {info.file_size} bytes, {most} at most")
    with archive.open(info) as file:
        shape, dtype, size = _header(file)
        declared = math.prod(shape) * dtype.itemsize
        if dtype.hasobject:
            raise ValueError(f"Object arrays in `{name}`, which are pickles")
        if declared != info.file_size - size:
            raise ValueError(
                f"`{name}` of shape {shape} with {info.file_size - size} bytes "
                f"instead of {declared}"
            )
    with archive.open(info) as file:
        array: np.ndarray = np.lib.format.read_array(io.BytesIO(file.read()), allow_pickle=False)
    return array


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Shape, type and the header's length in bytes."""
    version = np.lib.format.read_magic(file)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise ValueError(f"version {version} of numpy's format, instead of 1.0 or 2.0")
    try:
        with warnings.catch_warnings(action="ignore"):  # of headers of Python 2
            shape, _, dtype = readers[version](file)
    except Exception as error:  # the header is a literal of Python, whose parser raises anything
        raise ValueError(f"a header that is none ({one_line(error)})") from None
    if any(length < 0 for length in shape):
        raise ValueError(f"the shape {shape}")
    return shape, dtype, file.tell()
