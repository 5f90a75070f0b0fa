"""Your own texts with a class each: `train.tsv` and `test.tsv`, in the form of GLUE's files."""

from pathlib import Path

from landscape.data import text_table
from landscape.data.dataset import DataSet
from landscape.data.files import Source

SOURCE = Source("A table of texts", "train.tsv and test.tsv", (".",))


def load(data_dir: Path | None = None) -> DataSet:
    """One or more columns of text and a column `label`, words as tokens, x int64 (n, 64).

    data_dir: folder with `train.tsv` and `test.tsv`; where the latter has no labels (GLUE keeps
        them back) or is not there, `dev.tsv` is the test set; default: the environment variable
        LANDSCAPE_DATA.

    So the files of GLUE's SST-2, RTE, QNLI and WNLI are read as they are.

    Raises FileNotFoundError when a file is missing, ValueError when one is no such table.
    """
    train = text_table.labelled(SOURCE.find(data_dir, "train.tsv"))
    return text_table.dataset("tsv", train, test_part(SOURCE, data_dir))


def test_part(source: Source, data_dir: Path | None) -> text_table.Texts:
    """`test.tsv` where it has labels, else `dev.tsv`."""
    path = source.find(data_dir, "test.tsv", "dev.tsv")
    test = text_table.read(path)
    if test.labels is None and path.name == "test.tsv":
        return text_table.labelled(source.find(data_dir, "dev.tsv"))
    return text_table.labelled(path)
