"""SST-2: sentences of film reviews, liked or not. Socher et al., EMNLP 2013; GLUE's form of it."""

from pathlib import Path

from landscape.data import hugging_face, text_table
from landscape.data.dataset import DataSet
from landscape.data.files import Source
from landscape.data.text_table import Texts

SOURCE = Source("SST-2", "train.tsv and test.tsv or dev.tsv", ("sst2", "SST-2", "."))

TRAIN, TEST = 67_349, 872  # of GLUE, whose development set is the test set here

HUB = hugging_face.Table(
    repository="nyu-mll/glue", config="sst2", texts=("sentence",), test="validation"
)


def load(data_dir: Path | None = None) -> DataSet:
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
