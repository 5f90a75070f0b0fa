"""Rows of numbers in a run's folder, twice: NAME.jsonl for programs, NAME.csv for people."""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from landscape.utils import files

Row = dict[str, float]


def read(path: Path) -> list[Row]:
    """The rows of a .jsonl file; null reads as NaN.

    Raises ValueError with the file's path and the first line that is no row of numbers.
    """
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return [_row(line, f"{path} is damaged: line {i}") for i, line in enumerate(lines, 1)]


def _row(line: str, where: str) -> Row:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError(f"{where} is not valid JSON. It may be half written.") from None
    numbers = row.values() if isinstance(row, dict) else [row]
    if not isinstance(row, dict) or not all(isinstance(v, int | float | None) for v in numbers):
        raise ValueError(f"{where} must hold numbers by name.")
    return {name: math.nan if value is None else value for name, value in row.items()}


def write(folder: Path, name: str, rows: Sequence[Row]) -> None:
    """Both files, whole; the columns are all that any row has."""
    files.write(folder / f"{name}.jsonl", "".join(map(_line, rows)))
    columns = list(dict.fromkeys(column for row in rows for column in row))
    files.write(folder / f"{name}.csv", _csv(columns, rows, header=True))


class Growing:
    """A table that is written as it grows: whole at first, then line by line.

    Its rows have the same columns. What an interrupted run had written beyond `rows` is gone.
    """

    def __init__(self, folder: Path, name: str, rows: Sequence[Row]):
        self._paths = [folder / f"{name}.jsonl", folder / f"{name}.csv"]
        self._written = len(rows)
        write(folder, name, rows)

    def grow(self, rows: Sequence[Row]) -> bool:
        """Add those of `rows` that are not written yet; whether there were any."""
        new, first = rows[self._written :], self._written == 0
        if not new:
            return False
        texts = "".join(map(_line, new)), _csv(list(new[0]), new, header=first)
        for path, text in zip(self._paths, texts, strict=True):
            with (
                files.space_for(path, len(text)),
                path.open("a", encoding="utf-8", newline="") as file,
            ):
                file.write(text)
        self._written = len(rows)
        return True


def means(rows: Sequence[Mapping[str, Any]]) -> Row:
    """Average each column over the rows that have it, the loss of steps left out."""
    names = {name for row in rows for name in row} - {"loss"}
    values = {name: [float(row[name]) for row in rows if name in row] for name in sorted(names)}
    return {name: sum(column) / len(column) for name, column in values.items()}


def _line(row: Row) -> str:
    return json.dumps(files.plain(row), allow_nan=False) + "\n"


def _csv(columns: Sequence[str], rows: Sequence[Row], header: bool) -> str:
    table = io.StringIO()
    writer = csv.DictWriter(table, columns)
    if header and columns:
        writer.writeheader()
    writer.writerows(rows)
    return table.getvalue()
