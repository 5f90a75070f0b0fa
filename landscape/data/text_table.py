"""Texts with a class each, as tables: tab-separated files in the form of GLUE's."""

from dataclasses import dataclass
from pathlib import Path

import torch

from landscape.data.dataset import DataSet
from landscape.data.files import plain_text
from landscape.data.labels import classes_of, numbered
from landscape.data.vocabulary import encoded, vocabulary

LABEL, NUMBERS = "label", ("index", "idx", "id")

# Of every source of texts: tokens, and the longest text in tokens. Models are made for these.
VOCABULARY, LENGTH = 8192, 64


@dataclass(frozen=True)
class Texts:
    """Examples of one or more texts each, with the name of the class where it is known.

    path: where they come from, for errors.
    """

    texts: list[tuple[str, ...]]
    labels: list[str] | None
    path: Path


def read(path: Path) -> Texts:
    """A file in UTF-8: a line of column names, then an example a line, columns between tabs.

    The class is in column `label`, which a test file may lack; columns `index`, `idx` and `id` are
    passed over; all others are texts. Quotation marks are signs like any other.

    Raises ValueError where the file is no such table or has no example.
    """
    lines_of_file = plain_text(path).replace("\r\n", "\n").split("\n")
    header, *lines = [line.split("\t") for line in lines_of_file if line.strip()] or [[""]]
    columns = [i for i, name in enumerate(header) if name not in (LABEL, *NUMBERS)]
    if not columns or not lines:
        raise ValueError(
            f"{path} must begin with a line of column names, between tabs, such as "
            f"sentence and {LABEL}, and go on with examples. Got {len(lines)} after {header}."
        )
    for number, line in enumerate(lines, 2):
        if len(line) != len(header):
            raise ValueError(
                f"{path} must hold {len(header)} columns in each line. Got {len(line)} in example "
                f"{number - 1}."
            )
    label = header.index(LABEL) if LABEL in header else None
    return Texts(
        texts=[tuple(line[i] for i in columns) for line in lines],
        labels=None if label is None else [line[label].strip() for line in lines],
        path=path,
    )


def labelled(path: Path) -> Texts:
    """As `read`; ValueError where there is no column of classes."""
    table = read(path)
    if table.labels is None:
        raise ValueError(f"{path} must have a column `{LABEL}`. Got none.")
    return table


def dataset(name: str, train: Texts, test: Texts, note: str = "") -> DataSet:
    """Tokens of the training set's vocabulary, x int64 (n, LENGTH), and classes by number."""
    tokens = vocabulary(train.texts, VOCABULARY)
    classes = classes_of(train.labels or [])

    def numbers(part: Texts) -> torch.Tensor:
        return torch.tensor(numbered(part.labels or [], classes, part.path), dtype=torch.int64)

    return DataSet(
        name=name,
        train_x=encoded(train.texts, tokens, LENGTH),
        train_y=numbers(train),
        test_x=encoded(test.texts, tokens, LENGTH),
        test_y=numbers(test),
        classes=len(classes),
        note=note,
    )
