"""The two forms of CIFAR's files: rows of bytes, and Python's pickles, which are not run."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from landscape.data import byte_pickle
from landscape.data.files import compared
from landscape.data.images import normalise

PIXELS = 3 * 32 * 32

# Per channel, of the Lookbehind authors' code (arXiv 2307.16704).
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616)


def rows(path: Path, classes: int, key: str, label_bytes: int = 1) -> np.ndarray:
    """The images of one file, uint8 (n, 3073): the class, then 1,024 red, green, blue values.

    key: of the labels in the Python form (no suffix).
    label_bytes: before the pixels in the binary form (.bin); the last of them is the class.

    Raises ValueError when the file is no batch.
    """
    if path.suffix == ".bin":
        return _binary_rows(path, classes, label_bytes)
    return _python_rows(path, classes, key)


def images(
    batch: np.ndarray,
    mean: tuple[float, float, float] = MEAN,
    std: tuple[float, float, float] = STD,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows to normalised images, float32 (n, 3, 32, 32), and classes, int64 (n,)."""
    x = normalise(batch[:, 1:].reshape(-1, 3, 32, 32), mean, std)
    return x, torch.tensor(batch[:, 0], dtype=torch.int64)


def note(train: int, test: int, paths: Sequence[Path], md5: Mapping[str, str]) -> str:
    """How many images there are where some are missing, else which files are not the known ones.

    md5: of the published files, by name; one that is not among them cannot be compared.
    """
    found = {"training": (train, 50_000), "test": (test, 10_000)}
    if short := [f"{n:,} of the {m:,} {part} images." for part, (n, m) in found.items() if n != m]:
        return " ".join(short)
    unknown = "{} could not be compared with the published file."
    said = (compared(p, md5[p.name]) if p.name in md5 else unknown.format(p.name) for p in paths)
    return " ".join(line for line in said if line)


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
