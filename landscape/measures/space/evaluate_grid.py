"""Loss and accuracy at many points, row by row, on one or two data sets."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from landscape.measures.context import Progress, fingerprint, point_of, recorded, same_network
from landscape.measures.space.resumable_rows import KeptRows, Share, ShareDone
from landscape.objective.objective import Objective
from landscape.objective.point_passes import Point
from landscape.records import Array

Points = Callable[[int], Iterable[Point]]
Keep = Path | str | Share | None
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
    `Share` of the rows is evaluated alone.
    progress: counts points.

    Raises ValueError where the two objectives are not of one network and policy, and where a whole
    lacks rows of a share; ShareDone in place of an answer.
    """
    objectives = [objective] if other is None else [objective, same_network(objective, other)]
    found = np.empty((2 * len(objectives), *shape))
    size = shape[0] * shape[1]
    path = keep.path if isinstance(keep, Share) else keep
    for subject, way in zip(objectives, keep.ways if isinstance(keep, Share) else (), strict=False):
        subject.take_way(way)
    identity = [_identity(o, size) for o in objectives] if path is not None else []
    ranks = objective.ranks
    where = path if ranks.index == 0 else None  # one writer
    kept = KeptRows(where, {"points": recorded(question) if path else {}, "objectives": identity})
    rows = ranks.first([kept.get(i) for i in range(shape[0])])
    missing = [i for i, row in enumerate(rows) if row is None]
    if isinstance(keep, Share):
        _evaluate_share(keep, kept, missing, objectives, points, shape, progress)
    evaluated = _rows(objectives, points, missing, size)
    for i, row in enumerate(rows):
        if row is None:
            row = next(evaluated)
            kept.add(i, row)
        found[:, i] = row
        if progress is not None:
            progress((i + 1) * shape[1], size)
    kept.delete()
    return dict(zip(("loss", "accuracy", "other_loss", "other_accuracy"), found, strict=False))


def _evaluate_share(
    share: Share,
    kept: KeptRows,
    missing: Sequence[int],
    objectives: Sequence[Objective],
    points: Points,
    shape: tuple[int, int],
    progress: Progress | None,
) -> None:
    """Keep the rows of a share and raise ShareDone; pass where the whole is there."""
    if share.whole:
        if missing:
            raise ValueError(
                f"{len(missing)} of {shape[0]} rows are missing, or answer another question: the "
                "workers need the device and the libraries of this process."
            )
        return
    asked = missing[:1] if share.rows is None else [i for i in share.rows if i in set(missing)]
    size, started = shape[0] * shape[1], time.perf_counter()
    evaluated = _rows(objectives, points, asked, size)
    for done, i in enumerate(asked, 1):
        kept.add(i, next(evaluated))
        if progress is not None:
            progress(done * shape[1], len(asked) * shape[1])
    seconds = (time.perf_counter() - started) / max(1, len(asked))
    ways = [subject.way(size) for subject in objectives]
    raise ShareDone([i for i in missing if i not in set(asked)], seconds, ways)


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


def _identity(objective: Objective, size: int) -> list[str]:
    """Key of all that decides an objective's numbers at so many points; its loss stands for loss
    function and buffers.
    """
    return [
        fingerprint(objective.risk.w),
        objective.fingerprint,
        objective.batch_norm,
        str(objective.device),
        objective.summary.loss.hex(),
        objective.way(size),
    ]
