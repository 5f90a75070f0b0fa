"""Shapes of a bowl: the loss over its value at w, cut at a height, and contours as lines."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from landscape.plots.drawing import rise_panel
from landscape.records import Array, RiseAreaRecord
from landscape.records.contours import Contour, contour_around

CUT = 4.0  # rises: the height at which a bowl is cut
FLOOR = -0.32  # of the cut height: where the contours lie, below the bowl
LINES = (0.25, 0.5, 2.0)  # rises of the thin contours on the floor
ANGLES, RADII = 145, 36  # points of the mesh
VERTICES = 181  # of a contour
STEPS = 300  # along a ray, in which its end is looked for


@dataclass(frozen=True, eq=False)
class Bowl:
    """Mesh (RADII, ANGLES) from w outwards, and contours on the floor by their rise, each (k, 2).

    ring: the contour of the rise, empty where the record has no area.
    """

    x: Array
    y: Array
    z: Array
    ring: Array
    lines: dict[float, Array]


def half_width(records: Sequence[RiseAreaRecord]) -> float:
    """Half the width of a scene of these bowls: wider than panels, so that the flattest rises."""
    return 1.2 * rise_panel.half_width(records)


def bowl(record: RiseAreaRecord, half: float) -> Bowl:
    """Cut the surface of a record at CUT rises, and at the distance `half` from w."""
    from scipy.interpolate import RegularGridInterpolator

    x, y, z = rise_panel.heights(record)
    height = RegularGridInterpolator((x, y), z, bounds_error=False, fill_value=np.nan)
    angle = np.linspace(0, 2 * np.pi, ANGLES)
    sides = np.cos(angle), np.sin(angle)
    end = _ends(height, sides, CUT * record.rise, half)
    r = np.linspace(0, 1, RADII)[:, None] * end
    mesh = r * sides[0], r * sides[1]
    cut = np.minimum(height(np.stack(mesh, -1)), CUT * record.rise)
    contours = {c: _line(record, c * record.rise) for c in LINES}
    lines = {
        c * record.rise: line
        for c, line in contours.items()
        if len(line) and np.abs(line).max() <= half
    }
    return Bowl(*mesh, cut, _line(record, record.rise) if np.isfinite(record.area) else NOTHING,
                lines)  # fmt: skip


NOTHING: Array = np.empty((0, 2))


def _ends(
    height: Callable[[Array], Array], sides: tuple[Array, Array], cut: float, half: float
) -> Array:
    """Distance along each ray at which the surface first reaches the cut or ends."""
    t = np.linspace(0, half, STEPS)
    rays = height(np.stack([t[:, None] * side for side in sides], -1))  # (STEPS, angles)
    out = ~(rays < cut)
    first = np.where(out.any(axis=0), out.argmax(axis=0), STEPS - 1)
    column = np.arange(rays.shape[1])
    low, high = rays[np.maximum(first - 1, 0), column], rays[first, column]
    share = np.where(high > cut, (cut - low) / np.where(high > low, high - low, 1.0), 0.0)
    before = t[np.maximum(first - 1, 0)]
    within = ~out.any(axis=0)
    ends: Array = np.where(within, half, before + np.clip(share, 0, 1) * (t[1] - t[0]))
    return ends


def _line(record: RiseAreaRecord, level: float) -> Array:
    """Closed contour with VERTICES points evenly along it; empty where there is none."""
    found = contour_around(record.x, record.y, record.height, level)
    if not isinstance(found, Contour):
        return NOTHING
    ring = found.rings[0]
    length = np.append(0.0, np.cumsum(np.hypot(*np.diff(ring, axis=0).T)))
    at = np.linspace(0, length[-1], VERTICES)
    return np.stack([np.interp(at, length, ring[:, i]) for i in (0, 1)], axis=1)


def ribbon(line: Array, width: float) -> tuple[Array, Array]:
    """A flat band of so much to either side of a closed line: x and y, both (2, k)."""
    along = np.roll(line[:-1], -1, axis=0) - np.roll(line[:-1], 1, axis=0)
    along = np.concatenate([along, along[:1]])
    across = np.stack([along[:, 1], -along[:, 0]]) / np.hypot(*along.T)
    x, y = line.T
    sides = np.array([-width, width])[:, None]
    return x + sides * across[0], y + sides * across[1]
