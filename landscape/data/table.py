"""Tables with a column of classes: lines of a file by pandas, names of classes to numbers."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from landscape.data.files import plain_text

LABEL = "label"  # the column of classes
TAB = "\t"


def read(path: Path, separator: str) -> tuple[list[str], list[list[str]]]:
    """Column names, from the first line, and the values of each example; blank lines are left out.

    separator: a comma, around which quotation marks quote, or TAB, where they are signs like any
        other.

    Raises ValueError where the file is no plain text or a line has more or fewer values.
    """
    import pandas as pd

    text = plain_text(path).replace("\r\n", "\n")
    text = text.replace("\r", " ") if separator == TAB else text
    try:
        table = pd.read_csv(
            io.StringIO(text, newline=None),
            sep=separator,
            quoting=csv.QUOTE_NONE if separator == TAB else csv.QUOTE_MINIMAL,
            header=None,
            dtype=str,
            keep_default_na=False,
            engine="python",  # the only one that tells a missing value from an empty one
        )
    except pd.errors.EmptyDataError:
        return [], []
    except pd.errors.ParserError as error:
        why = " ".join(str(error).split())
        raise ValueError(f"{path} must hold as many values in each line. Got: {why}.") from None
    wanted, *given = table.notna().sum(axis=1).tolist()
    if short := [i for i, count in enumerate(given) if count < wanted]:
        raise ValueError(
            f"{path} must hold {wanted} values in each line. "
            f"Got {given[short[0]]} in example {short[0] + 1}."
        )
    header, *rows = table.to_numpy().tolist()
    return header, [row for row in rows if any(map(str.strip, row))]


def classes_of(names: Sequence[str]) -> dict[str, int]:
    """Each name and its number from 0: whole numbers in their order, other names alphabetically."""
    distinct = set(names)
    whole = all(name.lstrip("-").isdecimal() for name in distinct)
    ordered = sorted(distinct, key=int) if whole else sorted(distinct)
    return {name: i for i, name in enumerate(ordered)}


def numbered(names: Sequence[str], classes: dict[str, int], path: Path) -> list[int]:
    """The number of each name. Raises ValueError for a name that is no class."""
    for name in names:
        if name not in classes:
            known = ", ".join(list(classes)[:10])
            raise ValueError(
                f"{path} must hold classes of the training set ({known}). Got {name!r}."
            )
    return [classes[name] for name in names]
