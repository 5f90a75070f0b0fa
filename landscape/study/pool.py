"""Cells handed to an engine: one cell trains and measures one method with one seed."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from landscape.engines.engine import Engine
from landscape.engines.site import ends
from landscape.study.cell import Cell
from landscape.utils.progress import Listener, ProgressAggregator


@dataclass(frozen=True)
class Failure:
    """A cell that did not end, and why, in one line."""

    method: str
    seed: int
    why: str

    def __str__(self) -> str:
        return f"{self.method}, seed {self.seed}: {self.why}"


def run_all(
    cells: Sequence[Cell], engine: Engine, progress: Listener, folder: Path, stage: str = ""
) -> list[Failure]:
    """Run every cell by an engine; the cells that failed.

    Raises and goes on as `reasons_of_failures` does.
    """
    reasons = reasons_of_failures(cells, engine, progress, folder, stage)
    return [
        Failure(cell.method, cell.seed, reasons[cell.label])
        for cell in cells
        if cell.label in reasons
    ]


def reasons_of_failures(
    cells: Sequence[Cell], engine: Engine, progress: Listener, folder: Path, stage: str = ""
) -> dict[str, str]:
    """Run every cell by an engine; in one line why each failed that did, by label.

    folder: of the study, which all workers must see. stage: the name of the whole where it is one
    of several, as "tuning".
    A cell that fails does not stop the others; it is returned with its reason. A cell whose worker
    is lost is tried again, as often as the engine does. Ctrl-C stops all; finished cells stay,
    unfinished ones can be resumed.

    Raises the first cell's error where every cell failed.
    """
    jobs = {cell.label: ("", *cell.measures) for cell in cells}
    board = ProgressAggregator(jobs, stage, progress)
    data = cells[0].data_dir if cells else None
    errors: dict[str, BaseException] = {}
    with closing(ends(engine, cells, board.hear, folder, data)) as ended:
        for cell, _, error in ended:
            board.finish(cell.label)
            if error is not None:
                errors[cell.label] = error
    if errors and len(errors) == len(cells):
        raise next(iter(errors.values()))
    return {label: _reason(error) for label, error in errors.items()}


def _reason(error: BaseException) -> str:
    words = " ".join(str(error).split())
    return words if isinstance(error, ValueError | OSError) else f"{type(error).__name__}: {words}"
