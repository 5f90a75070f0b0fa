"""Data sets of the Hugging Face hub, by the library `datasets`: kept in the data folder.

What was kept is read without a network. Only where nothing is kept, and downloads are allowed
(`--download`, or LANDSCAPE_DOWNLOAD=1), is the hub asked. No code of a repository is run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from landscape.data.files import data_folder
from landscape.data.text_table import Texts
from landscape.utils.network import may_download, offline
from landscape.utils.optional import optional


@dataclass(frozen=True)
class Table:
    """Location of a table of texts on the hub.

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

    missing: what to raise, with a word on downloads, where there is no copy and none may be made.

    Raises ValueError where `datasets` is missing (the extra `hf`), or a column is.
    """
    copy, parts = kept(table.repository, table.config, data_dir, missing)
    return _texts(parts, table, table.train, copy), _texts(parts, table, table.test, copy)


def kept(
    repository: str, config: str, data_dir: Path | None, missing: FileNotFoundError
) -> tuple[Path, Any]:
    """The folder of the copy, and its parts by name, as `datasets` reads them.

    data_dir: the copy is in huggingface/REPOSITORY/CONFIG below it ("default" for no config).
    missing: as in `texts`.

    Raises ValueError where `datasets` is missing (the extra `hf`), or the hub has no such thing.
    """
    folder = data_folder(data_dir)
    if folder is None:
        raise missing
    copy = folder / "huggingface" / repository / (config or "default")
    if not copy.is_dir() and not may_download():
        raise FileNotFoundError(
            f"{missing} Or let {repository} be downloaded into it: --download."
        ) from None
    datasets = optional("datasets", "hf")
    if not copy.is_dir():
        _download(datasets, repository, config, copy)
    with offline("datasets"):
        return copy, datasets.load_from_disk(str(copy))


def _download(datasets: Any, repository: str, config: str, copy: Path) -> None:
    """Whole or not at all, so that what was stopped is begun anew."""
    names = (repository, config) if config else (repository,)
    partial = copy.with_name(f"{copy.name}.partial")
    try:
        datasets.load_dataset(*names).save_to_disk(str(partial))
    except Exception as error:  # of the library, the hub's client and the network
        what = next(iter(str(error).splitlines()), type(error).__name__)
        raise ValueError(f"{repository} could not be downloaded: {what}") from error
    partial.replace(copy)


def part(parts: Any, name: str, columns: Sequence[str], copy: Path) -> Any:
    """The rows of a part; ValueError where it, or one of its columns, is not there."""
    if name not in parts:
        raise ValueError(f"{copy} must have a part {name!r}. Got {', '.join(parts)}.")
    rows = parts[name]
    for column in columns:
        if column not in rows.column_names:
            found = ", ".join(rows.column_names)
            raise ValueError(f"{copy} must have a column {column!r}. Got {found}.")
    return rows


def _texts(parts: Any, table: Table, name: str, copy: Path) -> Texts:
    rows = part(parts, name, (*table.texts, table.label), copy)
    columns = [rows[column] for column in table.texts]
    labels = [str(label) for label in rows[table.label]]
    return Texts(texts=list(zip(*columns, strict=True)), labels=labels, path=copy)
