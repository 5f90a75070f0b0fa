"""Interpolating splines on a grid: those of FITPACK without smoothing, to rounding.

`scipy.interpolate` takes a fifth of a second to import, most grids a millisecond.
"""

import numpy as np

from landscape.records.record import Array

DEGREE = 3


def interpolated(x: Array, y: Array, values: Array, fine_x: Array, fine_y: Array) -> Array:
    """Tensor-product spline through `values` (nx, ny) over rising axes, on a finer grid.

    Cubic, or of the highest degree that an axis of fewer than four points allows. Knots stand at
    the points, but for the second and the last but one (de Boor 1978, "not a knot").
    """
    return np.asarray(_matrix(x, fine_x) @ values @ _matrix(y, fine_y).T)


def _matrix(x: Array, at: Array) -> Array:
    """Values at points `at` (f,) as a linear function of those at `x` (n,), shape (f, n)."""
    degree = min(DEGREE, len(x) - 1)
    half = degree // 2
    inner = x[half + 1 : len(x) - half - 1]
    if degree % 2 == 0:
        inner = (x[half : len(x) - half - 1] + x[half + 1 : len(x) - half]) / 2
    knots = np.concatenate([[x[0]] * (degree + 1), inner, [x[-1]] * (degree + 1)])
    return np.linalg.solve(_basis(knots, degree, x).T, _basis(knots, degree, at).T).T


def _basis(knots: Array, degree: int, at: Array) -> Array:
    """B-splines at points (f,) by de Boor's recursion, shape (f, n)."""
    n = len(knots) - degree - 1
    span = np.clip(np.searchsorted(knots, at, side="right") - 1, degree, n - 1)
    local = np.ones((len(at), 1))
    for d in range(1, degree + 1):
        higher = np.zeros((len(at), d + 1))
        for j in range(d):
            low, high = knots[span + 1 + j - d], knots[span + 1 + j]
            share = local[:, j] / (high - low)
            higher[:, j] += (high - at) * share
            higher[:, j + 1] += (at - low) * share
        local = higher
    whole = np.zeros((len(at), n))
    columns = span[:, None] - degree + np.arange(degree + 1)
    np.put_along_axis(whole, columns, local, axis=1)
    return whole
