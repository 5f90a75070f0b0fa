"""GLUE's tables: SST-2, sentences of film reviews, liked or not (Socher et al., EMNLP 2013), and
RTE, pairs of texts of which one follows from the other or not (Wang et al., ICLR 2019).
"""

from pathlib import Path

import torch
from torch import Tensor

from landscape.data import hugging_face, text_table
from landscape.data.dataset import DataSet
from landscape.data.files import Source
from landscape.data.table import classes_of, numbered
from landscape.data.text_table import VOCABULARY, Texts
from landscape.data.vocabulary import START, encoded_pairs, vocabulary

SOURCE = Source("SST-2", "train.tsv and test.tsv or dev.tsv", ("sst2", "SST-2", "."))

LENGTH = 128  # tokens of a pair, three special ones among them
TRAIN, TEST = 67_349, 872  # of GLUE, whose development set is the test set here

HUB = hugging_face.Table(
    repository="nyu-mll/glue", config="sst2", texts=("sentence",), test="validation"
)


def sst2(data_dir: Path | None = None) -> DataSet:
    """Up to 67,349 training and 872 test sentences, two classes, words as tokens, x int64 (n, 64).

    data_dir: folder with GLUE's files, or with a folder `sst2` or `SST-2` that holds them;
        default: the environment variable LANDSCAPE_DATA. `test.tsv` is the test set where it has
        labels, else `dev.tsv`, as GLUE keeps the labels of its test set back. Where no file is
        there, the copy that Hugging Face `datasets` keeps in the folder is, and made if allowed.

    The note says where there are other numbers of sentences. Raises FileNotFoundError when a file
    is missing, ValueError when one is no such table.
    """
    try:
        path = SOURCE.find(data_dir, "train.tsv")
    except FileNotFoundError as missing:
        train, test = hugging_face.texts(HUB, data_dir, missing)
    else:
        train, test = text_table.labelled(path), text_table.test_part(SOURCE, path.parent)
    return text_table.dataset("sst2", train, test, note=_note(train, test))


def _note(train: Texts, test: Texts) -> str:
    found = {"training": (len(train.texts), TRAIN), "test": (len(test.texts), TEST)}
    return " ".join(f"{n:,} of the {m:,} {p} sentences." for p, (n, m) in found.items() if n != m)


RTE = Source("RTE", "train.tsv and test.tsv or dev.tsv", ("rte", "RTE", "."))
PAIRS = Source("A table of pairs", "train.tsv and test.tsv", (".",))
RTE_HUB = hugging_face.Table(
    repository="nyu-mll/glue", config="rte", texts=("sentence1", "sentence2"), test="validation"
)


def rte(data_dir: Path | None = None) -> DataSet:
    """Up to 2,490 training and 277 test pairs of texts, two classes, as mappings, see `pairs`.

    data_dir: folder with GLUE's files, or with a folder `rte` or `RTE` that holds them; else as for
        `sst2`. Class 0 is "entailment".
    """
    try:
        path = RTE.find(data_dir, "train.tsv")
    except FileNotFoundError as missing:
        return of_pairs("rte", *hugging_face.texts(RTE_HUB, data_dir, missing))
    train, test = text_table.labelled(path), text_table.test_part(RTE, path.parent)
    return of_pairs("rte", train, test)


def pairs(data_dir: Path | None = None, regression: bool = False) -> DataSet:
    """Read two columns of text and a column `label`, as `[CLS] a [SEP] b [SEP]`: mappings of
    input_ids, token_type_ids and attention_mask, int64 (n, 128).

    data_dir: folder with `train.tsv` and `test.tsv` or `dev.tsv`, as for `tsv`.
    regression: labels are real numbers; train with --loss squared-error and one class.

    Raises FileNotFoundError when a file is missing, ValueError when one is no such table.
    """
    train = text_table.labelled(PAIRS.find(data_dir, "train.tsv"))
    test = text_table.test_part(PAIRS, data_dir)
    return of_pairs("pairs", train, test, regression=regression)


def of_pairs(name: str, train: Texts, test: Texts, regression: bool = False) -> DataSet:
    """Pairs with the training set's vocabulary, and classes by number, or real numbers.

    Raises ValueError where an example is no pair, or a label of a regression no number.
    """
    for part in (train, test):
        if any(len(texts) != 2 for texts in part.texts):
            raise ValueError(f"{part.path} must have two columns of text. Got another number.")
    tokens = vocabulary(train.texts, VOCABULARY, START + 1)
    (train_x, test_x) = (encoded_pairs(part.texts, tokens, LENGTH) for part in (train, test))
    if regression:
        train_y, test_y = (_numbers(part) for part in (train, test))
        return DataSet(name, train_x, train_y, test_x, test_y, classes=0)
    classes = classes_of(train.labels or [], train.path)
    train_y, test_y = (
        torch.tensor(numbered(part.labels or [], classes, part.path)) for part in (train, test)
    )
    return DataSet(name, train_x, train_y, test_x, test_y, len(classes))


def _numbers(part: Texts) -> Tensor:
    try:
        return torch.tensor([float(label) for label in part.labels or []])
    except ValueError as error:
        raise ValueError(f"{part.path} must hold numbers in `label`. Got: {error}.") from None
