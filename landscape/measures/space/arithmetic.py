"""Points in a faster arithmetic than IEEE float32, once its error was measured and is small."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

from landscape.measures.space.evaluate_grid import Points
from landscape.network.precision import OF_LOSSES, arithmetic_of
from landscape.objective.objective import Objective

TOLERANCE = 1e-3  # of the loss


class Measure(Protocol):
    """The two settings of a measure that only evaluates losses."""

    @property
    def precision(self) -> str:
        """A name in `OF_LOSSES`."""

    @property
    def precision_tolerance(self) -> float:
        """Largest relative error of a loss that is accepted."""


@dataclass(frozen=True)
class Computed:
    """Objectives whose `evaluate` computes in an arithmetic.

    error, accuracy_error: the largest at the points where both were evaluated: of the loss, as a
    share of it, and of the accuracy.
    """

    precision: str
    objective: Objective
    other: Objective | None
    error: float = 0.0
    accuracy_error: float = 0.0

    def describe(self) -> dict[str, Any]:
        """The fields of a record."""
        return {
            "precision": self.precision,
            "precision_error": self.error,
            "precision_accuracy_error": self.accuracy_error,
        }


def check(measure: Measure) -> None:
    """Raise ValueError for settings that do not exist or hold."""
    arithmetic_of(measure.precision, OF_LOSSES)
    if not measure.precision_tolerance > 0:
        raise ValueError(
            f"`precision_tolerance` must be positive. Got {measure.precision_tolerance}."
        )


def computed(
    measure: Measure,
    objective: Objective,
    other: Objective | None,
    points: Points,
    shape: tuple[int, int],
) -> Computed:
    """The objectives in a measure's arithmetic, which is compared with ieee on up to five points.

    points, shape: as `walk` has them. The corners of the grid and its middle are compared, where
    most grids have w, and with it the lowest loss.

    Raises ValueError where a loss is further off than `precision_tolerance` allows.
    """
    precision = arithmetic_of(measure.precision, OF_LOSSES)
    if precision == "ieee":
        return Computed(precision, objective, other)
    asked = [objective] if other is None else [objective, other]
    few = [next(islice(points(i), j, None)) for i, j in _compared(shape)]
    fast = [subject.evaluating_in(precision) for subject in asked]
    pairs = [
        pair
        for subject, quick in zip(asked, fast, strict=True)
        for pair in zip(quick.evaluate(few), subject.evaluate(few, expected=1), strict=True)
    ]
    error = max((_relative(rough, right) for (rough, _), (right, _) in pairs), default=0.0)
    flips = [abs(rough - right) for (_, rough), (_, right) in pairs if right == right]
    if not error <= measure.precision_tolerance:
        raise ValueError(
            f'{type(measure).__name__} in "{precision}" is off by {error:.1e} of the loss at '
            f"{len(few)} points, {measure.precision_tolerance:g} is allowed. Choose `precision` "
            f'"ieee", or accept it by `precision_tolerance` {_above(error)}.'
        )
    return Computed(precision, fast[0], fast[1] if other else None, error, max(flips, default=0.0))


def _compared(shape: tuple[int, int]) -> Sequence[tuple[int, int]]:
    """Positions of corners and middle of a grid, each once."""
    rows, columns = shape
    if not columns:
        return []
    corners = [(i, j) for i in (0, rows - 1) for j in (0, columns - 1)]
    return [*dict.fromkeys([*corners, (rows // 2, columns // 2)])]


def _relative(rough: float, right: float) -> float:
    """|rough − right| / |right|; 0 for the same, NaN and infinity among them."""
    if rough == right or (rough != rough and right != right):
        return 0.0
    apart = abs(rough - right)
    return apart / abs(right) if right and math.isfinite(apart) else math.inf


def _above(error: float) -> str:
    """A round number above an error, with one digit."""
    if not math.isfinite(error):
        return "inf"
    unit = 10.0 ** math.floor(math.log10(error))
    return f"{math.ceil(error / unit + 1e-9) * unit:g}"
