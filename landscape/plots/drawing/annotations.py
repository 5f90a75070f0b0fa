"""Annotations of a surface: w, the path of training, other minima; and the names of
its axes.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from landscape.plots.drawing.style import GREY, INK, WHITE, style_of
from landscape.records import SurfaceRecord

CROSS = "#EE3377"  # of no method
UNITS = {"random": "filter norms"}
KINDS = {
    "eigenvectors": "eigenvectors of the Hessian",
    "trajectory": "principal components (PC) of the training",
    "minima": "principal components (PC) of the minima",
}


def position(record: SurfaceRecord) -> tuple[float, float]:
    """Position of w, or of the point of the plane nearest to it."""
    return (0.0, 0.0) if record.position is None else (record.position[0], record.position[1])


def mark(ax: Axes, record: SurfaceRecord) -> None:
    """The points of a plane that was fitted to some, and w."""
    if record.points is not None and record.directions == "trajectory":
        ax.plot(*record.points.T, "-", color=WHITE, linewidth=2.2)
        ax.plot(*record.points.T, "-o", color=INK, linewidth=0.9, markersize=2.6)
    elif record.points is not None:
        for (x, y), name in zip(record.points, _names(record), strict=True):
            style = style_of(method_of(name))
            ax.plot(
                x, y, style.marker, color=style.colour, markersize=6, markeredgecolor=WHITE,
                markeredgewidth=0.8,
            )  # fmt: skip
    x, y = position(record)
    ax.plot(x, y, "+", color=WHITE, markersize=9, markeredgewidth=2.6)
    ax.plot(x, y, "+", color=CROSS, markersize=7.5, markeredgewidth=1.2)


def preview(ax: Axes, record: SurfaceRecord) -> None:
    """Across the corner of a panel that was not measured point by point."""
    if record.preview:
        ax.text(
            0.98, 0.03, "preview", transform=ax.transAxes, ha="right", va="bottom", fontsize=7,
            color=INK, bbox={"facecolor": WHITE, "edgecolor": GREY, "linewidth": 0.5, "pad": 2},
        )  # fmt: skip


def axis_names(records: Sequence[SurfaceRecord]) -> tuple[str, str]:
    """Name the two directions, with unit, and their share of variance if that is one number."""
    record = records[0]
    if record.explained is not None:
        each = [r.explained for r in records if r.explained is not None]
        shares = {tuple(f", {share:.0%}" for share in explained) for explained in each}
        first, second = shares.pop() if len(shares) == 1 else ("", "")
        return f"PC 1{first}{' of the variance' * bool(first)} (length)", f"PC 2{second} (length)"
    if record.directions == "eigenvectors":
        return "along eigenvector 1 (length)", "along eigenvector 2 (length)"
    unit = UNITS.get(record.directions, "its own length")
    return f"along d₁ ({unit})", f"along d₂ ({unit})"


def methods(records: Sequence[SurfaceRecord]) -> list[str]:
    """Those whose minima are marked, each once."""
    marked = [r for r in records if r.directions == "minima"]
    return list(dict.fromkeys(method_of(name) for r in marked for name in _names(r)))


def method_of(name: str) -> str:
    """ "sam" of "sam, seed 0"."""
    return name.partition(",")[0]


def words(records: Sequence[SurfaceRecord], mark: str = "+") -> list[str]:
    """Describe the plane for a caption, in parts. mark: the symbol of w."""
    directions = records[0].directions
    parts = [f"{mark} trained weights · {KINDS.get(directions, f'{directions} directions')}"]
    cosine = max((record.cosine for record in records), key=abs)
    if abs(cosine) > 5e-3 or directions == "random":
        parts[0] += f", cosine {round(cosine, 2) + 0.0:.2f}"
    away = [r.points_off_plane for r in records if r.points_off_plane is not None]
    if away:
        what = {"trajectory": "line: the training", "minima": "minima"}.get(directions, "points")
        parts.append(f"{what}, up to {np.max(np.concatenate(away)):.2g} off the plane")
    errors = [r.preview_error for r in records if r.preview_error is not None]
    if errors:
        parts.append(f"preview: interpolated, off by up to {max(errors):.1%} at 16 points checked")
    return parts


def _names(record: SurfaceRecord) -> list[str]:
    names = record.point_names
    count = 0 if record.points is None else len(record.points)
    return [""] * count if names is None else [str(name) for name in names]
