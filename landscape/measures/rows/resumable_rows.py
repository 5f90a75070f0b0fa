"""Finished rows of long work in a file, so that a kill loses one row at most."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch

from landscape.records import Array
from landscape.utils import files


class KeptRows:
    """Rows of numbers by index; appended one by one, each safe on the disk before the next begins.

    Files beside it whose names go on, `path`.0-9, are shares of the rows: taken in and removed.

    The first line of the file says which question the rows answer; rows of another question, a
    last line that a kill cut short, and rows that differ from their checksum are dropped. Numbers
    come back bit for bit.

    path: of the file, or None: nothing is kept. question: all that decides the numbers.
    """

    def __init__(self, path: Path | str | None, question: Any):
        self.path = None if path is None else Path(path)
        self._rows: dict[int, Array] = {}
        if self.path is None:
            return
        head = json.dumps({"question": files.plain(question), "torch": torch.__version__})
        shares = sorted(self.path.parent.glob(f"{self.path.name}.*"))
        whole = [line for path in (self.path, *shares) for line in _whole_lines(path, head)]
        for line in whole:
            row = json.loads(line.partition(" ")[2])
            self._rows[row["row"]] = np.array(row["numbers"], dtype=float)
        files.write(self.path, "\n".join([head, *whole, ""]))
        for path in shares:
            path.unlink()

    def get(self, row: int) -> Array | None:
        """The numbers of a row, or None where it is not finished."""
        return self._rows.get(row)

    def add(self, row: int, numbers: Array) -> None:
        """Keep a finished row."""
        if self.path is None:
            return
        text = json.dumps({"row": row, "numbers": numbers.tolist()})
        with files.space_for(self.path, len(text)), self.path.open("a") as file:
            file.write(f"{_checksum(text)} {text}\n")
            file.flush()
            os.fsync(file.fileno())

    def delete(self) -> None:
        """Remove the file: the whole is finished, and kept elsewhere."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _whole_lines(path: Path, head: str) -> list[str]:
    text = path.read_text(errors="replace") if path.exists() else ""
    lines = text.split("\n")
    return [line for line in lines[1:-1] if lines[0] == head and _is_whole(line)]


def _is_whole(line: str) -> bool:
    checksum, _, text = line.partition(" ")
    return checksum == _checksum(text)
