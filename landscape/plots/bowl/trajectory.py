"""Training on its way over the surface: the plane of its principal directions, the path growing."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from landscape.plots.bowl.animation import Animation
from landscape.plots.drawing.levels import shared_levels
from landscape.plots.drawing.prepare import conditions
from landscape.plots.drawing.style import COLOUR_MAP, GREY, INK, WHITE, styled, text
from landscape.records import Array, SurfaceRecord

FRAMES = 40
LAST = 8  # frames at the end of the way
ELEVATION, FROM, TURN = 36, -70, 60  # degrees
BALL = "#EE3377"


@styled
def descending(record: SurfaceRecord) -> Animation:
    """Draw the loss on the plane of a training as a surface, and the weights' way over it.

    The weights are projected onto the plane, and heights are those of the surface below them, so
    that the loss of weights far off the plane may be another.

    Raises ValueError for a surface that is not that of a trajectory.
    """
    if record.directions != "trajectory" or record.points is None or record.point_names is None:
        raise ValueError(
            "The way of a training needs a surface along it: landscape analyze RUN "
            "--measures surface --set surface.directions=trajectory"
        )
    levels = shared_levels([record])
    low, high = (float(levels.height(v)) for v in levels.values[[0, -1]])
    z = np.clip(levels.height(np.asarray(record.loss, dtype=float)), low, high)
    figure, ax = _axes(record, z, (low, high))
    way, passed = _way(record.points)
    height = _above(record, z, way) + 0.02 * (high - low)
    (line,) = ax.plot([], [], [], color=WHITE, linewidth=2, zorder=6)
    (ball,) = ax.plot([], [], [], "o", color=BALL, markeredgecolor=WHITE, markersize=8, zorder=7)
    head = figure.text(0.5, 0.93, "", ha="center", fontsize=12, fontweight="bold", color=INK)
    figure.text(0.5, 0.02, text(_words(record, levels.log)), ha="center", fontsize=7, color=GREY)

    def show(i: int) -> None:
        k = min(i, FRAMES - LAST - 1) * (len(way) - 1) // (FRAMES - LAST - 1)
        for artist, part in ((line, slice(0, k + 1)), (ball, slice(k, k + 1))):
            artist.set_data_3d(*way[part].T, height[part])
        ax.view_init(ELEVATION, FROM + TURN * i / FRAMES)
        head.set_text(text(f"epoch {record.point_names[passed[k]]}"))  # type: ignore[index]

    return Animation(figure, FRAMES, show, pause=0.12, accents=(BALL,))


def _axes(record: SurfaceRecord, z: Array, ends: tuple[float, float]) -> tuple[Figure, Any]:
    figure = Figure(figsize=(5.2, 3.9))
    ax: Any = figure.add_axes((0.0, 0.1, 1.0, 0.84), projection="3d", computed_zorder=False)
    ax.plot_surface(
        *np.meshgrid(record.x, record.y, indexing="ij"), z, cmap=COLOUR_MAP, vmin=ends[0],
        vmax=ends[1], rcount=60, ccount=60, linewidth=0, antialiased=False, zorder=1,
    )  # fmt: skip
    ax.set_zlim(*ends)
    ax.set_box_aspect((1, 1, 0.6), zoom=1.05)
    ax.set_axis_off()
    return figure, ax


def _way(points: Array) -> tuple[Array, Array]:
    """Points evenly along the way (k, 2), and the last of the given ones that each has passed."""
    length = np.append(0.0, np.cumsum(np.hypot(*np.diff(points, axis=0).T)))
    at = np.linspace(0, length[-1], 8 * FRAMES)
    way = np.stack([np.interp(at, length, points[:, i]) for i in (0, 1)], axis=1)
    return way, np.searchsorted(length, at + 1e-9 * length[-1], side="right") - 1


def _above(record: SurfaceRecord, z: Array, way: Array) -> Array:
    """Heights of the surface at points of the plane (k, 2), linear between those of the grid."""
    from scipy.interpolate import RegularGridInterpolator

    found: Array = RegularGridInterpolator((record.x, record.y), z, bounds_error=False)(way)
    return found


def _words(record: SurfaceRecord, log: bool) -> str:
    """Two lines: what the way is, and what the height."""
    way = "white: the training, on the plane of its principal components"
    if record.points_off_plane is not None:
        way += f", up to {np.max(record.points_off_plane):.2g} off it"
    height = "height: loss" + ", logarithmic" * log
    return "\n".join([way, " · ".join(filter(None, [height, conditions([record])]))])
