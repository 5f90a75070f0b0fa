"""A grid from a quarter of its points: a spline of the log loss."""

from collections.abc import Sequence

import numpy as np

from landscape.records import Array

CHECKED = 16


def coarse(axis: Array) -> Array:
    """Indices of every second point, both ends and the zero of an axis (s,)."""
    kept = {*range(0, len(axis), 2), len(axis) - 1, *np.flatnonzero(axis == 0).tolist()}
    return np.array(sorted(kept))


def filled(x: Array, y: Array, rows: Array, columns: Array, values: Array, log: bool) -> Array:
    """Values (rows, columns) at the coarse points, interpolated to (nx, ny).

    log: a cubic spline of the logarithm, as a loss wants it; else, and where a value is not
    finite or not positive, linear, so that nothing overshoots: cells next to NaN are NaN.
    """
    from scipy.interpolate import RectBivariateSpline, RegularGridInterpolator

    if log and np.isfinite(values).all() and (values > 0).all():
        degrees = {"kx": min(3, len(rows) - 1), "ky": min(3, len(columns) - 1)}
        fine = np.exp(RectBivariateSpline(x[rows], y[columns], np.log(values), **degrees)(x, y))
    else:
        between = RegularGridInterpolator((x[rows], y[columns]), values)
        with np.errstate(invalid="ignore"):
            fine = between(tuple(np.meshgrid(x, y, indexing="ij")))
    fine[np.ix_(rows, columns)] = values
    return fine


def cells_to_check(
    shape: tuple[int, ...], rows: Array, columns: Array, seed: int
) -> list[tuple[int, int]]:
    """Up to 16 cells (i, j), drawn among those that were not measured."""
    unmeasured = np.ones(shape, dtype=bool)
    unmeasured[np.ix_(rows, columns)] = False
    cells = np.argwhere(unmeasured)
    drawn = np.random.default_rng(seed).permutation(len(cells))[:CHECKED]
    return [(int(i), int(j)) for i, j in cells[drawn]]


def worst_error(found: Sequence[float], truth: Sequence[tuple[float, float]]) -> float:
    """Largest |interpolated / true − 1| of losses; truth: (loss, accuracy) at the same points."""
    errors = [abs(f / loss - 1) for f, (loss, _) in zip(found, truth, strict=True)]
    return float(np.max(errors, initial=0.0))
