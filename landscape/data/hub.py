"""Any table of the Hugging Face hub that has a class for each example: texts, images or numbers."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch

from landscape.data import hugging_face, text_table
from landscape.data.dataset import DataSet
from landscape.data.files import data_folder
from landscape.data.table import classes_of, numbered

REPOSITORY = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")


def load(
    data_dir: Path | None = None,
    name: str = "",
    config: str = "",
    columns: str = "",
    label: str = "label",
    train: str = "train",
    test: str = "test",
) -> DataSet:
    """A repository of the hub by its `name`: columns of text, one of images, or several of numbers.

    data_dir: folder that keeps the copy, in huggingface/NAME/CONFIG; default: the environment
        variable LANDSCAPE_DATA. Without a copy it is made, if downloads are allowed.
    name, config: as in nyu-mll/glue and rte.
    columns: what an example is, by names with commas between; default all but the label, and
        `index`, `idx`, `id`.
    label: the column of classes; train, test: the parts.

    Texts become words as tokens, x int64 (n, 64); images (n, channels, height, width) and numbers
    (n, columns) float32, standardised by the training part, per channel or column.

    Raises FileNotFoundError where there is no copy and none may be made, ValueError for a wrong
    name, a missing part or column, and columns that do not go together.
    """
    missing = FileNotFoundError(
        "A table of the hub needs a copy, and no folder is named. "
        "Name the folder with --data-dir or LANDSCAPE_DATA."
    )
    if data_folder(data_dir) is None:
        raise missing
    for option, value in (("name", name), ("config", config or "default")):
        if not REPOSITORY.fullmatch(value):
            raise ValueError(
                f"`{option}` must be as on the hub: --data-args name=nyu-mll/glue --data-args "
                f"config=rte. Got {value!r}."
            )
    missing = FileNotFoundError(
        f"{name} needs a copy in {data_folder(data_dir)}. Put one there, as `datasets` saves it to "
        f"disk, into huggingface/{name}/{config or 'default'}."
    )
    copy, parts = hugging_face.kept(name, config, data_dir, missing)
    chosen = _columns(hugging_face.part(parts, train, (label,), copy), columns, label)
    one, other = (
        hugging_face.part(parts, which, (*chosen, label), copy) for which in (train, test)
    )
    title = f"{name}/{config}" if config else name
    if all(isinstance(value, str) for value in (one[column][0] for column in chosen)):
        train_part, test_part = (_texts(rows, chosen, label, copy) for rows in (one, other))
        return text_table.dataset(title, train_part, test_part)
    return _numbers(title, one, other, chosen, label, copy)


def _columns(rows: Any, columns: str, label: str) -> list[str]:
    """The names that were given, or all that an example can be."""
    named = [column.strip() for column in columns.split(",") if column.strip()]
    if not len(rows):
        raise ValueError("The training part must hold at least one example. Got none.")
    return named or [c for c in rows.column_names if c not in (label, *text_table.NUMBERS)]


def _texts(rows: Any, columns: list[str], label: str, copy: Path) -> text_table.Texts:
    texts = list(zip(*([str(text) for text in rows[column]] for column in columns), strict=True))
    return text_table.Texts(texts, [str(value) for value in rows[label]], copy)


def _numbers(
    title: str, train: Any, test: Any, columns: list[str], label: str, copy: Path
) -> DataSet:
    x, other = (_array(rows, columns, copy) for rows in (train, test))
    if x.shape[1:] != other.shape[1:]:
        raise ValueError(
            f"{copy} must hold examples of one shape. Got {x.shape[1:]} and {other.shape[1:]}."
        )
    axes = (0, *range(2, x.ndim))
    mean, std = x.mean(axes, keepdims=True), x.std(axes, keepdims=True)
    std = np.where(std > 0, std, 1.0)
    labels, others = ([str(value) for value in rows[label]] for rows in (train, test))
    classes = classes_of(labels, copy)
    return DataSet(
        name=title,
        train_x=torch.tensor((x - mean) / std, dtype=torch.float32),
        train_y=torch.tensor(numbered(labels, classes, copy)),
        test_x=torch.tensor((other - mean) / std, dtype=torch.float32),
        test_y=torch.tensor(numbered(others, classes, copy)),
        classes=len(classes),
    )


def _array(rows: Any, columns: list[str], copy: Path) -> np.ndarray:
    """(n, columns) of numbers, or (n, channels, height, width) of images."""
    try:
        arrays = [np.stack([np.asarray(v, np.float64) for v in rows[c]]) for c in columns]
        x = arrays[0] if len(arrays) == 1 else np.stack(arrays, 1)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{copy}: {', '.join(columns)} must be texts, or numbers, or images of one shape. "
            f"Got: {error}. Name those to use: --data-args columns=..."
        ) from None
    if not np.isfinite(x).all():
        raise ValueError(f"{copy} must hold finite numbers in {', '.join(columns)}. Got NaN.")
    if x.ndim == 1 or (x.ndim == 3 and len(columns) == 1):  # a number, or grey pixels
        x = x[:, None]
    elif x.ndim == 4 and x.shape[-1] in (1, 3, 4):  # channels last, as images come
        x = x.transpose(0, 3, 1, 2)
    return x
