"""Panel of the rise of the loss around a minimum: bands, one thick contour, the baseline's dashed.

Shared by the figure of the areas, the report's first screen and the animations.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap

from landscape.plots.drawing.style import GRID, INK, WHITE
from landscape.records import Array, RiseAreaRecord
from landscape.records.contours import Contour, contour_around, expanded, refined

CONTOUR = "#D1350F"  # of the rise, on a white halo; of no method
BANDS = np.array([0, 0.25, 0.5, 1, 2, 4, 8, 16, 32])  # times the rise
MAP = ListedColormap(colormaps["YlGnBu_r"](np.linspace(0.08, 0.98, len(BANDS) - 1)), "rise")
MARGIN = 1.3  # half-width of the panels, in the farthest distances of a contour from w


def rise_of(records: Sequence[RiseAreaRecord]) -> float:
    """The rise that records share; ValueError where they were measured at different ones."""
    rises = sorted({record.rise for record in records})
    if len(rises) > 1:
        listed = " and ".join(f"{rise:g}" for rise in rises)
        raise ValueError(f"Areas side by side need one rise. Got {listed}: measure them alike.")
    return rises[0]


def mean_area(records: Sequence[RiseAreaRecord]) -> float:
    """Mean area over the seeds for which there is one, as in the table of a study; else NaN."""
    areas = np.array([record.area for record in records])
    known = areas[np.isfinite(areas)]
    return float(known.mean()) if known.size else float("nan")


def without_area(records: Sequence[RiseAreaRecord]) -> str:
    """Count these minima that have no area, and why; "" where all have one."""
    lacking = [record for record in records if not np.isfinite(record.area)]
    reasons = sorted({record.no_area for record in lacking if record.no_area})
    count = f"no area for {len(lacking)} of {len(records)} minima"
    return ": ".join(filter(None, [count, "; ".join(reasons)])) if lacking else ""


def contour_of(record: RiseAreaRecord) -> Contour | None:
    """The contour of the rise; None where the record has no area."""
    if not np.isfinite(record.area):
        return None
    found = contour_around(record.x, record.y, record.height, record.rise)
    return found if isinstance(found, Contour) else None


def half_width(records: Sequence[RiseAreaRecord]) -> float:
    """Half the width of panels that hold the contours of all of these records."""
    contours = [contour_of(record) for record in records]
    reached = [float(np.abs(c.rings[0]).max()) for c in contours if c is not None]
    if reached:
        return MARGIN * max(reached)
    return float(max(np.abs(axis).max() for r in records for axis in (r.x, r.y))) / 2


def first_records(
    groups: Mapping[str, Sequence[RiseAreaRecord]],
) -> dict[str, RiseAreaRecord]:
    """Method -> its first record with an area, or its first."""
    return {
        method: next((r for r in records if np.isfinite(r.area)), records[0])
        for method, records in groups.items()
    }


def norm_of(rise: float) -> BoundaryNorm:
    """Rise of the loss -> band."""
    return BoundaryNorm(BANDS * rise, MAP.N, clip=True)


def draw(
    ax: Axes,
    record: RiseAreaRecord,
    baseline: RiseAreaRecord | None,
    half: float,
    width: float = 2.4,
) -> None:
    """Draw one minimum in a square from −half to half; baseline: whose contour is drawn dashed.

    width: of the contour of the rise, in points. Grey is not measured.
    """
    levels = BANDS * record.rise
    x, y, z = heights(record)
    ax.set(xlim=(-half, half), ylim=(-half, half), xticks=[], yticks=[], facecolor=GRID)
    ax.set_aspect("equal")
    ax.grid(False)
    ax.spines[:].set_visible(False)
    filled = ax.contourf(
        x, y, np.clip(z, 0, levels[-1]).T, levels, cmap=MAP, norm=norm_of(record.rise)
    )
    filled.set_rasterized(True)
    _ring(ax, record, WHITE, 1.75 * width)
    if baseline is not None:
        _ring(ax, baseline, INK, 0.45 * width, (0, (3, 2)))
    _ring(ax, record, CONTOUR, width)
    ax.plot(0, 0, "+", color=WHITE, markersize=3 * width, markeredgewidth=0.6 * width)


def heights(record: RiseAreaRecord) -> tuple[Array, Array, Array]:
    """x, y and L − L(w) on a finer grid, true up to the highest band."""
    top = BANDS[-1] * record.rise / 4
    x, y, z = refined(record.x, record.y, record.height, top)
    return x, y, expanded(z, top)


def _ring(ax: Axes, record: RiseAreaRecord, colour: str, width: float, style: Any = "-") -> None:
    contour = contour_of(record)
    for ring in contour.rings if contour is not None else ():
        ax.plot(*ring.T, color=colour, linewidth=width, linestyle=style)
