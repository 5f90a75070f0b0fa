"""Area around the weights inside which the loss rises by less than a given amount."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from landscape.measures.context import Progress, settings_of, shows_progress, signature
from landscape.measures.eigenvector_plane import SharpestPlane, sharpest_plane
from landscape.measures.space.evaluate_grid import described, walk
from landscape.measures.space.planes import Plane
from landscape.measures.space.sampling_error import relative_stderr
from landscape.objective.objective import Objective
from landscape.records import Array, EigenvaluesRecord, RiseAreaRecord
from landscape.records.contours import Contour, contour_around
from landscape.utils import checks

REACH = 3.0  # half of the plane's width, in distances at which the loss has risen
FEWEST = 9  # points of an axis: every second one makes a spline
STRETCH = 2.8  # of the grid: cells grow outwards, by cosh of it from the centre to the border
NARROW = 0.4  # of the wider side of an axis, the least of the other
DOUBLINGS = 16  # of the distance at which the loss is looked for to have risen
BISECTIONS = 4  # of that distance, in its logarithm
UNSURE = 0.05  # of an area: it is not stated with a larger error
WIDENED, TIMES = 1.6, 3  # a plane that a contour leaves is widened so, so often


@dataclass(frozen=True)
class RiseArea:
    """Area of {L(w + x v₁ + y v₂) − L(w) < rise} around the trained weights, v₁ and v₂ the unit
    eigenvectors of the two largest eigenvalues of ∇²L(w).

    For a quadratic loss it is 2π·rise/√(λ₁λ₂). The larger, the flatter. The component that contains
    w counts, without what rises inside. Lengths are Euclidean: the area changes when a network is
    scaled into an equal one, so compare it beside ‖w‖. It lies around the trained weights, which
    need not be the minimum of their plane.

    The record holds the loss of the plane, a surface, and the areas at rise/2, rise and 2·rise,
    each with its error: the difference from the area of every second point of the grid. The plane
    reaches three times as far as the loss takes to rise by `rise` along each axis, and is widened
    where the contour leaves it.

    rise: of the loss, in its unit.
    size: points along each axis, odd; they lie closer around w.
    cells: radius of a contour in cells of the grid, from which on its area is stated.
    seed: seed of the start of the eigenvectors, where those of an `Eigenvalues` are not given.

    Defaults are the project's own. Raises ValueError for settings out of range.

    Example: L(w) = (9 w₁² + w₂²)/2, whose area at 0.1 is 0.2 π/3.

    >>> import torch
    >>> import landscape as ls
    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> model.weight.data = torch.tensor([[0.0, 0.0]])
    >>> batch = ls.Batch(torch.diag(torch.tensor([3.0, 1.0])), torch.zeros(2, 1))
    >>> mse = lambda model, batch: (model(batch.x) - batch.y).square().mean()
    >>> objective = ls.Objective(model, [batch], mse)
    >>> round(ls.measures.RiseArea()(objective).area, 3)
    0.209
    """

    rise: float = 0.1
    size: int = 25
    cells: float = 5.0
    seed: int = 0

    over_ranks: ClassVar[bool] = True

    def __post_init__(self) -> None:
        checks.typed(self)
        checks.positive(rise=self.rise, cells=self.cells)
        if self.size < FEWEST or self.size % 2 == 0:
            raise ValueError(f"`size` must be odd and at least {FEWEST}. Got {self.size}.")

    @shows_progress
    def __call__(
        self,
        objective: Objective,
        *,
        eigenvalues: EigenvaluesRecord | None = None,
        progress: Progress | None = None,
    ) -> RiseAreaRecord:
        """Evaluate the loss on the plane and measure the areas.

        eigenvalues: those measured at the same objective, whose vectors are then not computed anew.
        progress: counts grid points.
        """
        sharpest = sharpest_plane(objective, eigenvalues, self.seed)
        turned, reach = _oriented(objective, sharpest, self.rise)
        rises = self.rise * np.array([0.5, 1.0, 2.0])
        for attempt in range(TIMES):
            x, y = (_axis(distance, self.size) for distance in reach)
            found = self._walked(objective, turned, x, y, _from(progress, attempt, self.size**2))
            centre = float(found["loss"][self.size // 2, self.size // 2])
            height = found["loss"] - centre
            if isinstance(contour_around(x, y, height, self.rise), Contour):
                break
            reach = WIDENED * reach
        measured = [_area(x, y, height, rise, self.cells) for rise in rises]
        return RiseAreaRecord(
            x=x,
            y=y,
            **found,
            directions="eigenvectors",
            cosine=turned.plane.cosine,
            position=np.zeros(2),
            centre=centre,
            relative_stderr=relative_stderr(objective),
            rises=rises,
            areas=np.array([area for area, _, _ in measured]),
            area_errors=np.array([error for _, error, _ in measured]),
            eigenvalues=turned.values,
            eigenvalue_bounds=turned.bounds,
            no_area=measured[1][2],
            **signature(self, objective),
        )

    def _walked(
        self,
        objective: Objective,
        sharpest: SharpestPlane,
        x: Array,
        y: Array,
        progress: Progress | None,
    ) -> dict[str, Any]:
        plane = sharpest.plane

        def points(i: int) -> Iterator[Tensor]:
            return (plane.point(x[i], b) for b in y)

        shape = len(x), len(y)
        found = walk(objective, points, shape, question=settings_of(self), progress=progress)
        return {**found, **described(found, None)}


def _area(x: Array, y: Array, height: Array, rise: float, cells: float) -> tuple[float, float, str]:
    """Area and its error, or NaN and the reason."""
    contour = contour_around(x, y, height, rise)
    if not isinstance(contour, Contour):
        return np.nan, np.nan, contour
    radius = contour.radius_in_cells(x, y)
    if radius < cells:
        return np.nan, np.nan, f"the contour has a radius of {radius:.1f} cells, below {cells:g}"
    coarse = contour_around(x[::2], y[::2], height[::2, ::2], rise)
    if not isinstance(coarse, Contour):
        return np.nan, np.nan, f"{coarse} where every second point of the grid is left out"
    error = abs(contour.area - coarse.area)
    if error > UNSURE * contour.area:
        share = error / contour.area
        return np.nan, np.nan, f"the area is uncertain by {share:.0%} on this grid: a larger `size`"
    return contour.area, error, ""


def _axis(reach: Array, size: int) -> Array:
    """Points from −REACH · reach[0] to REACH · reach[1], closer around zero, (size,)."""
    u = np.linspace(-1, 1, size)
    side = np.where(u < 0, *np.maximum(reach, NARROW * reach.max()))
    return REACH * side * np.sinh(STRETCH * u) / np.sinh(STRETCH)


def _oriented(
    objective: Objective, sharpest: SharpestPlane, rise: float
) -> tuple[SharpestPlane, Array]:
    """The plane with each axis towards the side on which the loss rises later, and the distances
    at which it has risen, (2, 2): before and behind the centre of x, and of y.
    """
    plane, reach = sharpest.plane, []
    directions = [plane.d1, plane.d2]
    for i, (d, value) in enumerate(zip(directions, sharpest.values, strict=True)):
        start = np.sqrt(2 * rise / value) if value > 0 else 0.1 * max(objective.summary.w_norm, 1.0)
        forth, back = (_distance(objective, side, rise, float(start)) for side in (d, -d))
        directions[i] = d if forth >= back else -d
        reach.append(sorted(t if np.isfinite(t) else start for t in (forth, back)))
    turned = Plane(plane.origin, directions[0], directions[1])
    return SharpestPlane(turned, sharpest.values, sharpest.bounds), np.array(reach)


def _distance(objective: Objective, d: Tensor, rise: float, start: float) -> float:
    """Distance along d, to 5 %, at which the loss has risen; inf where it does not."""
    level = objective.summary.loss + rise

    def has_risen(t: float) -> bool:
        ((loss, _),) = objective.evaluate([objective.w + t * d])
        return not loss < level

    return first_true(has_risen, start)


def first_true(holds: Callable[[float], bool], start: float) -> float:
    """Distance t > 0 at which `holds` turns true, searched from `start`: doubled or halved, then
    bisected in its logarithm; inf where it holds nowhere up to 2^DOUBLINGS starts.
    """
    high = start
    for _ in range(DOUBLINGS):
        if holds(high):
            break
        high *= 2
    else:
        return float("inf")
    low = high / 2
    while high <= start and low > start / 2**DOUBLINGS and holds(low):
        high, low = low, low / 2
    for _ in range(BISECTIONS):
        middle = float(np.sqrt(low * high))
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _from(progress: Progress | None, attempt: int, points: int) -> Progress | None:
    """Progress of an attempt, counted after those before it."""
    if progress is None:
        return None
    return lambda done, total: progress(attempt * points + done, attempt * points + total)
