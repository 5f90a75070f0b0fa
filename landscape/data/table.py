"""Tables with a column of classes: values of a file's lines, names of classes to numbers."""

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path

from landscape.data.files import plain_text

LABEL = "label"  # the column of classes
TAB = "\t"


def read(path: Path, separator: str) -> tuple[list[str], list[list[str]]]:
    """Column names, from the first line, and the values of each example; blank lines are left out.

    separator: a comma, around which quotation marks quote, or TAB, where they are signs like any
        other.

    Raises ValueError where the file is no plain text, a line has more or fewer values, or a value
    has more than the 131,072 characters of Python's csv.
    """
    text = plain_text(path).replace("\r\n", "\n")
    text = text.replace("\r", " ") if separator == TAB else text
    lines = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=separator,
        quoting=csv.QUOTE_NONE if separator == TAB else csv.QUOTE_MINIMAL,
        strict=True,
    )
    header: list[str] | None = None
    examples: list[list[str]] = []
    try:
        for line in lines:
            if not "".join(line[:1]).strip() and len(line) <= 1:
                continue
            if header is None:
                header = line
                continue
            if len(line) != len(header):
                raise ValueError(
                    f"{path} must hold {len(header)} values in each line. "
                    f"Got {len(line)} in example {len(examples) + 1}."
                )
            examples.append(line)
    except csv.Error as error:
        raise ValueError(f"{path} must be a table. Got: {error}, line {lines.line_num}.") from None
    return header or [], [line for line in examples if any(map(str.strip, line))]


def classes_of(names: Sequence[str], path: Path) -> dict[str, int]:
    """Each name and its number from 0: whole numbers in their order, other names alphabetically.

    Raises ValueError where all are numbers and some are not whole: targets of a regression.
    """
    distinct = set(names)
    if all(re.fullmatch(r"-?\d{1,300}", name, re.ASCII) for name in distinct):
        ordered = sorted(distinct, key=lambda name: (int(name), name))
    else:
        _refuse_real_numbers(distinct, path)
        ordered = sorted(distinct)
    return {name: i for i, name in enumerate(ordered)}


def _refuse_real_numbers(names: set[str], path: Path) -> None:
    try:
        numbers = {name: float(name) for name in sorted(names)}
    except ValueError:
        return
    if real := [name for name, number in numbers.items() if not number.is_integer()]:
        raise ValueError(
            f"{path} must hold names of classes, or whole numbers, in `{LABEL}`. Got {real[0]!r}."
        )


def numbered(names: Sequence[str], classes: dict[str, int], path: Path) -> list[int]:
    """The number of each name. Raises ValueError for a name that is no class."""
    for name in names:
        if name not in classes:
            known = ", ".join(list(classes)[:10])
            raise ValueError(
                f"{path} must hold classes of the training set ({known}). Got {name!r}."
            )
    return [classes[name] for name in names]
