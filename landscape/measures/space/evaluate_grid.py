"""Loss and accuracy at many points, row by row, on one or two data sets."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from landscape.measures.context import Progress, fingerprint, point_of, same_network
from landscape.measures.space.resumable_rows import KeptRows
from landscape.objective.objective import Objective
from landscape.records import Array

Points = Callable[[int], Iterable[Tensor]]


def walk(
    objective: Objective,
    points: Points,
    shape: tuple[int, int],
    *,
    question: Mapping[str, Any],
    other: Objective | None = None,
    keep: Path | str | None = None,
    progress: Progress | None = None,
) -> dict[str, Array]:
    """loss and accuracy, and other_loss and other_accuracy where there is an `other`, of `shape`.

    points(i): the points (n,) of row i, made when they are needed: memory does not grow with rows.
    question: settings and arrays that decide which points these are.
    keep: file for finished rows; a walk that was killed goes on there, with the same numbers.
    progress: counts points.

    Raises ValueError where the two objectives are not of one network and policy.
    """
    objectives = [objective] if other is None else [objective, same_network(objective, other)]
    found = np.empty((2 * len(objectives), *shape))
    kept = KeptRows(keep, {"points": question, "objectives": [*map(_identity, objectives)]})
    for i in range(shape[0]):
        row = kept.get(i)
        if row is None:
            row = np.concatenate([np.array(o.evaluate(points(i))).T for o in objectives])
            kept.add(i, row)
        found[:, i] = row
        if progress is not None:
            progress((i + 1) * shape[1], shape[0] * shape[1])
    kept.delete()
    return dict(zip(("loss", "accuracy", "other_loss", "other_accuracy"), found, strict=False))


def described(found: dict[str, Array], other: Objective | None) -> dict[str, Any]:
    """Collect the fields that every record of a grid has beside its arrays."""
    losses = [values for name, values in found.items() if name.endswith("loss")]
    return {
        "nonfinite": float(np.mean(~np.isfinite(losses))),
        "other_point": None if other is None else asdict(point_of(other)),
    }


def _identity(objective: Objective) -> list[str]:
    """What decides an objective's numbers; its loss stands for loss function and buffers."""
    return [
        fingerprint(objective.w),
        objective.fingerprint,
        objective.batch_norm,
        str(objective.device),
        objective.summary.loss.hex(),
    ]
