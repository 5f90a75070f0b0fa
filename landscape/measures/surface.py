"""Loss surface on a plane through weight space, L(origin + x d1 + y d2).

Li, Xu, Taylor, Studer & Goldstein, NeurIPS 2018 (arXiv 1712.09913).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from landscape.measures.context import Progress, shows_progress, signature, unless_default
from landscape.measures.eigenvector_plane import eigenvector_plane
from landscape.measures.rows.shared_rows import Keep
from landscape.measures.space import arithmetic, filters, grids, interpolation
from landscape.measures.space.evaluate_grid import described, walk
from landscape.measures.space.planes import Plane, Writer, pca_plane, random_plane
from landscape.measures.space.sampling_error import relative_stderr
from landscape.objective.objective import Objective
from landscape.records import Array, SurfaceRecord
from landscape.utils import checks

# Directions -> the plane, from the seed and the points (k, n) that it shall fit.
DIRECTIONS: dict[str, Callable[[Objective, int, Any], Plane]] = {
    "random": lambda objective, seed, _: random_plane(objective, seed),
    "eigenvectors": lambda objective, seed, _: eigenvector_plane(objective, seed),
    "trajectory": lambda objective, _, points: pca_plane(points, objective.w.to(points)),
    "minima": lambda _objective, _, points: pca_plane(points),
}
FITTED = ("trajectory", "minima")


@dataclass(frozen=True)
class Surface:
    """Loss and accuracy on a grid in a plane, loss[i, j] at origin + x_i·d1 + y_j·d2.

    The record holds loss and accuracy (nx, ny), on one or two data sets.

    size: points along each axis, or (nx, ny); odd, so that the origin is on the grid.
    span: the axes run from -span to span; a pair (x, y); or ((from, to), (from, to)) with any size,
    for axes that need not contain the origin. None: 1, or the bounding box of the points to which a
    plane is fitted.
    directions: "random", filter-normalised, in units of filter norms (`random_plane`);
    "eigenvectors" (`eigenvector_plane`); "trajectory" or "minima", the principal directions of
    `points`, through w or through their mean (`pca_plane`), in lengths of weight space.
    plane: a `Plane` to use in place of `directions`.
    points: (k, n), or name -> (n,), to be projected onto the plane and drawn over it.
    preview: measure about a quarter of the points and interpolate the log loss. The record is
    marked and holds the largest error at 16 further points.
    seed: seed of the random directions, of the eigenvectors' start, of the points a preview checks.
    precision: of the points: "ieee", "tf32" on CUDA, "bf16" by autocast, or "auto", which is ieee.
    Refused where some points are off by more than precision_tolerance, a share of the loss.

    The default size is the project's own; filter normalisation is that of Li et al. Raises
    ValueError for settings out of range, for points that are missing or span no plane, and for a
    plane in another space than w.

    Example: L(w) = (9 w₁² + w₂²)/2 around its minimum, along the eigenvectors.

    >>> import torch
    >>> import landscape as ls
    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> model.weight.data = torch.tensor([[0.0, 0.0]])
    >>> batch = ls.Batch(torch.diag(torch.tensor([3.0, 1.0])), torch.zeros(2, 1))
    >>> mse = lambda model, batch: (model(batch.x) - batch.y).square().mean()
    >>> objective = ls.Objective(model, [batch], mse)
    >>> surface = ls.measures.Surface(size=3, directions="eigenvectors")(objective)
    >>> surface.loss.round(4)
    array([[5. , 4.5, 5. ],
           [0.5, 0. , 0.5],
           [5. , 4.5, 5. ]])
    """

    size: grids.Size = 51
    span: grids.Span | None = None
    directions: str = "random"
    plane: Plane | None = None
    points: Mapping[str, Tensor] | Sequence[Tensor] | Tensor | None = None
    preview: bool = False
    seed: int = 0
    precision: str = unless_default("auto")
    precision_tolerance: float = unless_default(arithmetic.TOLERANCE)

    @property
    def crosses_minima(self) -> bool:
        """The plane goes through the weights of several networks, or epochs."""
        return self.plane.through_minima if self.plane else self.directions in FITTED

    over_ranks: ClassVar[bool] = True
    splits_into: ClassVar[str] = "rows"

    def __post_init__(self) -> None:
        checks.typed(self)
        grids.check(self.size, self.span)
        checks.one_of(tuple(DIRECTIONS), directions=self.directions)
        arithmetic.check(self)

    @shows_progress
    def __call__(
        self,
        objective: Objective,
        *,
        other: Objective | None = None,
        keep: Keep = None,
        progress: Progress | None = None,
    ) -> SurfaceRecord:
        """Evaluate the loss around the objective's point.

        other: the same network on other data, evaluated at the same points.
        keep: a file for finished rows until all are done, so that the same call resumes after a
        kill, with the same numbers.
        progress: counts grid points.
        """
        if self.crosses_minima:
            objective, other = objective.between_minima(), other and other.between_minima()
        names, points = self._points(objective.weights.n)
        plane = self._plane(objective, points)
        marks = _marks(plane, names, points)
        fitted = self.plane is not None or self.directions in FITTED
        x, y = grids.axes(self.size, self.span, marks.get("points") if fitted else None)
        options = {"other": other, "keep": keep, "progress": progress}
        found = self._walked(objective, plane, x, y, options)
        return SurfaceRecord(
            x=x,
            y=y,
            **found,
            **marks,
            **_self_check(objective, plane, x, y, found["loss"]),
            directions="plane" if self.plane else self.directions,
            explained=plane.explained and np.array(plane.explained),
            relative_stderr=relative_stderr(objective),
            **signature(self, objective),
        )

    def _points(self, n: int) -> tuple[list[str], Tensor | None]:
        """Names and rows (k, n)."""
        if self.points is None:
            return [], None
        named = self.points.items() if isinstance(self.points, Mapping) else enumerate(self.points)
        names, rows = zip(*named, strict=True)
        for row in rows:
            if row.shape != (n,):
                raise ValueError(f"`points` must have shape (k, {n}). Got a {tuple(row.shape)}.")
        return [*map(str, names)], torch.stack(rows)

    def _plane(self, objective: Objective, points: Tensor | None) -> Plane:
        w = objective.risk.w
        if self.plane is None:
            if points is None and self.directions in FITTED:
                raise ValueError(f"The plane of a {self.directions} needs `points` to go through.")
            return DIRECTIONS[self.directions](objective, self.seed, points).to(w)
        if self.plane.origin.shape != w.shape:
            raise ValueError(
                f"`plane` must lie in the space of w, of shape {tuple(w.shape)}. "
                f"Got {tuple(self.plane.origin.shape)}."
            )
        return self.plane.to(w)

    def _walked(
        self, objective: Objective, plane: Plane, x: Array, y: Array, options: dict[str, Any]
    ) -> dict[str, Any]:
        """Evaluate the grid: the record's arrays of loss and accuracy."""
        rows, columns = (
            interpolation.coarse(a) if self.preview else np.arange(len(a)) for a in (x, y)
        )

        def points(i: int) -> Iterator[Writer]:
            return plane.row(x[rows[i]], y[columns])

        question = {"settings": self, "plane": plane, "x": x, "y": y}
        shape = len(rows), len(columns)
        used = arithmetic.computed(self, objective, options["other"], points, shape)
        options = {**options, "other": used.other}
        found = walk(used.objective, points, shape, question=question, **options)
        about = {**described(found, options["other"]), **used.describe()}
        if not self.preview:
            return {**found, **about}
        for name, values in found.items():
            log = name.endswith("loss")
            found[name] = interpolation.filled(x, y, rows, columns, values, log)
        cells = interpolation.cells_to_check(found["loss"].shape, rows, columns, self.seed)
        unmeasured = (plane.point(x[i], y[j]) for i, j in cells)
        truth = used.objective.evaluate(unmeasured, expected=len(cells))
        error = interpolation.worst_error([found["loss"][i, j] for i, j in cells], truth)
        return {**found, **about, "preview": True, "preview_error": error}


def _marks(plane: Plane, names: list[str], points: Tensor | None) -> dict[str, Any]:
    if points is None:
        return {}
    coordinates, distances = plane.project(points)
    return {
        "points": coordinates.numpy(),
        "point_names": np.array(names),
        "points_off_plane": distances.numpy(),
    }


def _self_check(
    objective: Objective, plane: Plane, x: Array, y: Array, loss: Array
) -> dict[str, Any]:
    """Self-check of the record: position of w, loss measured there, cosine, filter ratios."""
    (position,), (off_plane,) = plane.project(objective.risk.w[None])
    at = np.flatnonzero(x == float(position[0])), np.flatnonzero(y == float(position[1]))
    on_grid = off_plane == 0 and all(len(found) for found in at)
    ratios = [filters.ratios(objective, d) for d in (plane.d1, plane.d2)]
    return {
        "position": position.numpy(),
        "off_plane": float(off_plane),
        "centre": float(loss[at[0][0], at[1][0]]) if on_grid else float("nan"),
        "cosine": plane.cosine,
        "filter_ratios": None if None in ratios else np.array(ratios),
    }
