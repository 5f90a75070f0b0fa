"""Loss and accuracy at many points, row by row, on one or two data sets."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import chain
from typing import Any

import numpy as np

from landscape.measures.context import Progress, point_of, recorded, same_network
from landscape.measures.rows.shared_rows import Keep, Rows, identity, ways_of
from landscape.objective.objective import Objective
from landscape.objective.point_passes import Point
from landscape.records import Array

Points = Callable[[int], Iterable[Point]]
BLOCK = 1.0  # seconds of rows that are evaluated together: small networks are opened less often


def walk(
    objective: Objective,
    points: Points,
    shape: tuple[int, int],
    *,
    question: Mapping[str, Any],
    other: Objective | None = None,
    keep: Keep = None,
    progress: Progress | None = None,
) -> dict[str, Array]:
    """loss and accuracy, and other_loss and other_accuracy where there is an `other`, of `shape`.

    points(i): the points (n,) of row i, made when they are needed: memory does not grow with rows.
    question: settings and tensors that decide which points these are.
    keep: file for finished rows; a walk that was killed goes on there, with the same numbers. A
    `Share` of the rows is computed alone.
    progress: counts points.

    Raises ValueError where the two objectives are not of one network and policy, else as `Rows`.
    """
    objectives = [objective] if other is None else [objective, same_network(objective, other)]
    size = shape[0] * shape[1]
    for subject, way in zip(objectives, ways_of(keep), strict=False):
        subject.take_way(way)
    ways = [] if keep is None else [subject.way(size) for subject in objectives]

    def asked() -> Mapping[str, Any]:
        known = [[*identity(o), way] for o, way in zip(objectives, ways, strict=True)]
        return {"points": recorded(question), "shape": shape, "objectives": known}

    rows = Rows(
        keep, asked, ways=ways, ranks=objective.ranks,
        progress=progress and (lambda done, total: progress(done * shape[1], total * shape[1])),
    )  # fmt: skip
    found = rows(shape[0], lambda missing: _rows(objectives, points, missing, size))
    rows.delete()
    names = "loss", "accuracy", "other_loss", "other_accuracy"
    return dict(zip(names, np.stack(found, 1), strict=False))


def _rows(
    objectives: Sequence[Objective], points: Points, rows: Sequence[int], size: int
) -> Iterator[Array]:
    """Yield loss and accuracy on each data set (2·data, columns) for each of some rows.

    As many rows are evaluated together as take about `BLOCK` seconds.
    """
    count, done = 1, 0
    while block := rows[done : done + count]:
        started = time.perf_counter()
        answers = [
            np.array(o.evaluate(chain.from_iterable(map(points, block)), expected=size))
            for o in objectives
        ]
        done += len(block)
        seconds = objectives[0].ranks.first(time.perf_counter() - started) / len(block)
        count = max(1, int(BLOCK / seconds))
        of_rows = [
            a.reshape(len(block), len(a) // len(block), 2).transpose(0, 2, 1) for a in answers
        ]
        yield from np.concatenate(of_rows, 1)


def described(found: dict[str, Array], other: Objective | None) -> dict[str, Any]:
    """Collect the fields that every record of a grid has beside its arrays."""
    losses = [values for name, values in found.items() if name.endswith("loss")]
    return {
        "nonfinite": float(np.mean(~np.isfinite(losses))),
        "other_point": None if other is None else asdict(point_of(other)),
    }
