"""Data sets of the Hugging Face hub, by the library `datasets`: kept in the data folder.

What was kept is read without a network. Only where nothing is kept, and downloads are allowed
(`--download`, or LANDSCAPE_DOWNLOAD=1), is the hub asked. No code of a repository is run.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from landscape.data.files import data_folder, may_download
from landscape.data.text_table import Texts
from landscape.extras import optional


@dataclass(frozen=True)
class Table:
    """Where a table of texts is on the hub.

    texts: names of the columns of text; label: of the column of classes; train, test: of the parts.
    """

    repository: str
    config: str
    texts: tuple[str, ...]
    label: str = "label"
    train: str = "train"
    test: str = "test"


def texts(table: Table, data_dir: Path | None, missing: FileNotFoundError) -> tuple[Texts, Texts]:
    """The training and the test part of a table.

    data_dir: the copy is in huggingface/REPOSITORY/CONFIG below it.
    missing: what to raise, with a word on downloads, where there is no copy and none may be made.

    Raises ValueError where `datasets` is missing (the extra `hf`), or a column is.
    """
    folder = data_folder(data_dir)
    if folder is None:
        raise missing
    copy = folder / "huggingface" / table.repository / table.config
    if not copy.is_dir() and not may_download():
        raise FileNotFoundError(
            f"{missing} Or let {table.repository} be downloaded into it: --download."
        ) from None
    datasets = optional("datasets", "hf")
    if not copy.is_dir():
        datasets.load_dataset(table.repository, table.config).save_to_disk(str(copy))
    parts = datasets.load_from_disk(str(copy))
    return _part(parts, table, table.train, copy), _part(parts, table, table.test, copy)


def _part(parts: Any, table: Table, name: str, copy: Path) -> Texts:
    if name not in parts:
        raise ValueError(f"{copy} must have a part {name!r}. Got {', '.join(parts)}.")
    rows = parts[name]
    for column in (*table.texts, table.label):
        if column not in rows.column_names:
            found = ", ".join(rows.column_names)
            raise ValueError(f"{copy} must have a column {column!r}. Got {found}.")
    columns = [rows[column] for column in table.texts]
    labels = [str(label) for label in rows[table.label]]
    return Texts(texts=list(zip(*columns, strict=True)), labels=labels, path=copy)
