"""Your own numbers with a class each: `train.csv` and `test.csv`."""

from pathlib import Path

import numpy as np
import torch

from landscape.data import table
from landscape.data.dataset import DataSet
from landscape.data.files import Source
from landscape.data.table import LABEL, classes_of, numbered

ROUNDING = 1e-12  # relative deviation of a column of one number, whose mean is rounded

SOURCE = Source("A table of numbers", "train.csv and test.csv", (".",))


def load(data_dir: Path | None = None) -> DataSet:
    """A column `label`, all others numbers: x float32 (n, columns), standardised.

    data_dir: folder with `train.csv` and `test.csv`, each with a line of column names; default:
        the environment variable LANDSCAPE_DATA.

    From each column its mean over the training set is taken, and the rest divided by its standard
    deviation there (by 1 where that is 0, or rounding).

    Raises FileNotFoundError when a file is missing, ValueError when one is no such table.
    """
    paths = [SOURCE.find(data_dir, name) for name in ("train.csv", "test.csv")]
    (columns, train, train_labels), (others, test, test_labels) = (_read(path) for path in paths)
    if columns != others:
        raise ValueError(
            f"{paths[1]} must have the columns of train.csv, {', '.join(columns)}. "
            f"Got {', '.join(others)}."
        )
    classes = classes_of(train_labels, paths[0])
    with np.errstate(over="ignore", invalid="ignore"):
        mean, std = train.mean(0), train.std(0)
        constant = std <= ROUNDING * np.abs(train).max(0)
        std = np.where(constant, 1.0, np.where(np.isfinite(std), std, np.nan))
        train_x, test_x = (
            _float32((x - mean) / std, path) for x, path in zip((train, test), paths, strict=True)
        )
    return DataSet(
        name="csv",
        train_x=train_x,
        train_y=torch.tensor(numbered(train_labels, classes, paths[0])),
        test_x=test_x,
        test_y=torch.tensor(numbered(test_labels, classes, paths[1])),
        classes=len(classes),
    )


def _read(path: Path) -> tuple[list[str], np.ndarray, list[str]]:
    """The names of the columns of numbers, the numbers (n, columns), and the labels."""
    header, lines = table.read(path, ",")
    if LABEL not in header or len(header) < 2 or not lines:
        raise ValueError(
            f"{path} must have columns of numbers, a column `{LABEL}` and at least one example. "
            f"Got columns {', '.join(header) or 'without names'} and {len(lines)} examples."
        )
    label = header.index(LABEL)
    labels = [line.pop(label).strip() for line in lines]
    rows = [[_number(value, path, i) for value in line] for i, line in enumerate(lines, 1)]
    return header[:label] + header[label + 1 :], np.array(rows), labels


def _float32(x: np.ndarray, path: Path) -> torch.Tensor:
    standardised = torch.tensor(x.astype(np.float32))
    if not bool(standardised.isfinite().all()):
        raise ValueError(
            f"{path} must hold numbers whose standardised values fit into 32 bits. Got larger ones."
        )
    return standardised


def _number(value: str, path: Path, example: int) -> float:
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if not np.isfinite(number):
        raise ValueError(f"{path} must hold finite numbers. Got {value!r} in example {example}.")
    return number
