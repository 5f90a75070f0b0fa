"""Texts with a class each, as tables: tab-separated files in the form of GLUE's."""

from dataclasses import dataclass
from pathlib import Path

import torch

from landscape.data import table
from landscape.data.dataset import DataSet
from landscape.data.files import Source
from landscape.data.table import LABEL, TAB, classes_of, numbered
from landscape.data.vocabulary import encoded, vocabulary

NUMBERS = ("index", "idx", "id")  # columns that are no texts

# Of every source of texts: tokens, and the longest text in tokens. Models are made for these.
VOCABULARY, LENGTH = 8192, 64

TSV = Source("A table of texts", "train.tsv and test.tsv", (".",))


@dataclass(frozen=True)
class Texts:
    """Examples of one or more texts each, with the name of the class where it is known.

    path: where they come from, for errors.
    """

    texts: list[tuple[str, ...]]
    labels: list[str] | None
    path: Path


def tsv(data_dir: Path | None = None) -> DataSet:
    """Read one or more columns of text and a column `label`; words as tokens, x int64 (n, 64).

    data_dir: folder with `train.tsv` and `test.tsv`; where the latter has no labels (GLUE keeps
        them back) or is not there, `dev.tsv` is the test set; default: the environment variable
        LANDSCAPE_DATA.

    So the files of GLUE's SST-2, RTE, QNLI and WNLI are read as they are.

    Raises FileNotFoundError when a file is missing, ValueError when one is no such table.
    """
    train = labelled(TSV.find(data_dir, "train.tsv"))
    return dataset("tsv", train, test_part(TSV, data_dir))


def test_part(source: Source, data_dir: Path | None) -> Texts:
    """`test.tsv` where it has labels, else `dev.tsv`."""
    path = source.find(data_dir, "test.tsv", "dev.tsv")
    test = read(path)
    if test.labels is None and path.name == "test.tsv":
        return labelled(source.find(data_dir, "dev.tsv"))
    return labelled(path)


def read(path: Path) -> Texts:
    """A file in UTF-8: a line of column names, then an example a line, columns between tabs.

    The class is in column `label`, which a test file may lack; columns `index`, `idx` and `id` are
    passed over; all others are texts. Quotation marks are signs like any other.

    Raises ValueError where the file is no such table or has no example.
    """
    header, lines = table.read(path, TAB)
    columns = [i for i, name in enumerate(header) if name not in (LABEL, *NUMBERS)]
    if not columns or not lines:
        raise ValueError(
            f"{path} must begin with a line of column names, between tabs, such as "
            f"sentence and {LABEL}, and go on with examples. Got {len(lines)} after {header}."
        )
    label = header.index(LABEL) if LABEL in header else None
    return Texts(
        texts=[tuple(line[i] for i in columns) for line in lines],
        labels=None if label is None else [line[label].strip() for line in lines],
        path=path,
    )


def labelled(path: Path) -> Texts:
    """Read a table with classes; ValueError without a column of classes."""
    texts = read(path)
    if texts.labels is None:
        raise ValueError(f"{path} must have a column `{LABEL}`. Got none.")
    return texts


def dataset(name: str, train: Texts, test: Texts, note: str = "") -> DataSet:
    """Tokens of the training set's vocabulary, x int64 (n, LENGTH), and classes by number."""
    tokens = vocabulary(train.texts, VOCABULARY)
    classes = classes_of(train.labels or [], train.path)

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
