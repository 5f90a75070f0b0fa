"""Closed contour around a point of a grid, and the area inside it."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from landscape.records.record import Array

FINE = 8  # points of the refined grid to a cell of the given one
STEEP = 4.0  # heights of this many levels and more are compressed before they are interpolated
OUTSIDE = "the contour leaves the plane"
ABOVE = "the centre does not lie below the level"
NOT_FINITE = "the contour touches points whose loss is not finite"


@dataclass(frozen=True, eq=False)
class Contour:
    """Contour of a level around a point: the border of the component below it.

    rings: closed polygons (k, 2), the outer one first, then those of the holes.
    """

    rings: tuple[Array, ...]

    @property
    def area(self) -> float:
        """Area inside, without the holes."""
        outer, *holes = map(polygon_area, self.rings)
        return outer - sum(holes)

    def radius_in_cells(self, x: Array, y: Array) -> float:
        """Half the extent of the outer ring, counted in cells of the grid, along the axis where
        it spans fewer.
        """
        spans = (
            np.ptp(np.interp(self.rings[0][:, i], axis, np.arange(len(axis))))
            for i, axis in enumerate((x, y))
        )
        return float(min(spans)) / 2


def contour_around(
    x: Array, y: Array, height: Array, level: float, at: tuple[float, float] = (0.0, 0.0)
) -> Contour | str:
    """Contour height = level of the component of {height < level} that contains `at`.

    x (nx,), y (ny,) increasing, height (nx, ny), level positive. Sub-cell: on a bicubic spline
    through the points, then linear on a grid `FINE` times as fine, so that the area's error falls
    with the fourth power of the cell where the function is smooth.

    Where there is no such closed contour the answer is the reason, in words.
    """
    from contourpy import FillType, contour_generator

    finite = np.isfinite(height)
    fine_x, fine_y, fine = refined(x, y, height, level)
    lines = contour_generator(fine_x, fine_y, fine.T, fill_type=FillType.OuterOffset)
    for points, offsets in zip(
        *lines.filled(-np.inf, float(_compressed(level, level))), strict=True
    ):
        rings = [points[a:b] for a, b in pairwise(offsets)]
        if not _contains(rings[0], at) or any(_contains(hole, at) for hole in rings[1:]):
            continue
        outer = rings[0]
        if any(
            np.isclose(outer[:, i], edge, rtol=0, atol=1e-9 * np.ptp(axis)).any()
            for i, axis in enumerate((x, y))
            for edge in (axis[0], axis[-1])
        ):
            return OUTSIDE
        if not finite.all() and _touches(np.concatenate(rings), x, y, finite):
            return NOT_FINITE
        return Contour(tuple(rings))
    return ABOVE


def refined(
    x: Array, y: Array, height: Array, level: float, fine: int = FINE
) -> tuple[Array, Array, Array]:
    """Grid `fine` times as fine, and the heights on it, compressed so that none exceeds
    STEEP · level in size: a point that exploded bends no contour far from it.
    """
    from scipy.interpolate import RectBivariateSpline

    values = _compressed(np.where(np.isfinite(height), height, np.inf), level)
    spline = RectBivariateSpline(x, y, values)
    axes = [_subdivided(axis, fine) for axis in (x, y)]
    return *axes, spline(*axes)


def expanded(compressed: Array, level: float) -> Array:
    """Heights of compressed ones, at most 1e6 levels."""
    most = STEEP * level
    share = np.clip(compressed / most, -1 + 1e-12, 1 - 1e-12)
    return most * share / np.sqrt(1 - share**2)


def polygon_area(ring: Array) -> float:
    """Area of a closed polygon (k, 2), by the shoelace formula."""
    x, y = (ring - ring.mean(axis=0)).T
    return float(abs(np.dot(x[:-1], y[1:]) - np.dot(x[1:], y[:-1])) / 2)


def _compressed(height: Array | float, level: float) -> Array:
    """Increasing, nearly the identity up to the level, between −STEEP · level and STEEP · level."""
    most = STEEP * level
    with np.errstate(invalid="ignore", over="ignore"):
        found = height / np.sqrt(1 + np.square(np.asarray(height, dtype=float) / most))
    return np.where(np.isinf(height), np.sign(height) * most, found)


def _subdivided(axis: Array, fine: int) -> Array:
    at = np.arange(fine * (len(axis) - 1) + 1) / fine
    return np.interp(at, np.arange(len(axis)), axis)


def _contains(ring: Array, at: tuple[float, float]) -> bool:
    """Even-odd rule for a closed polygon (k, 2)."""
    (x, y), (px, py) = ring.T, at
    crosses = (y[:-1] > py) != (y[1:] > py)
    with np.errstate(divide="ignore", invalid="ignore"):
        where = x[:-1] + (py - y[:-1]) * (x[1:] - x[:-1]) / (y[1:] - y[:-1])
    return bool(np.count_nonzero(crosses & (px < where)) % 2)


def _touches(points: Array, x: Array, y: Array, finite: Array) -> bool:
    """A point lies in a cell with a corner that is not finite."""
    i, j = (
        np.clip(np.searchsorted(axis, points[:, k]) - 1, 0, len(axis) - 2)
        for k, axis in enumerate((x, y))
    )
    corners = finite[i, j] & finite[i + 1, j] & finite[i, j + 1] & finite[i + 1, j + 1]
    return not corners.all()
