"""Bowls that turn: the baseline's beside the one with the largest area, on one scale."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d.art3d import Poly3DCollection  # type: ignore[import-untyped]

from landscape.plots.bowl.animation import Animation
from landscape.plots.bowl.geometry import CUT, FLOOR, Bowl, bowl, half_width
from landscape.plots.bowl.scene import ASPECT, COLOURS, DASHED, THIN
from landscape.plots.drawing import rise_panel
from landscape.plots.drawing.prepare import ByMethod, counts, grouped
from landscape.plots.drawing.style import GREY, INK, style_of, styled, text
from landscape.records import Array, RiseAreaRecord

FRAMES = 36  # of a full turn
ELEVATION, START = 30, -55  # degrees
STRIDE = 2  # of the mesh's angles, which frames as small as these need no finer
LIGHT = np.array([-0.35, -0.6, 0.72])
BESIDE = 2  # bowls at most
MAP = LinearSegmentedColormap.from_list("bowl", COLOURS)


@styled
def turning(records: ByMethod[RiseAreaRecord], *, baseline: str = "sgd") -> Animation:
    """Draw the bowl of each method over a full turn; of more than two methods those of the baseline
    and of the largest mean area.

    Red: the contour of the rise, also on the floor, where the baseline's is dashed.

    Raises ValueError for records that were measured at different rises.
    """
    groups = _chosen(grouped(records, RiseAreaRecord), baseline)
    flat = [record for found in groups.values() for record in found]
    rise, firsts = rise_panel.rise_of(flat), rise_panel.first_records(groups)
    half = half_width(list(firsts.values()))
    bowls = {method: bowl(record, half) for method, record in firsts.items()}
    base = bowls[baseline].ring if baseline in bowls and len(bowls) > 1 else None
    figure, axes = _panels(len(bowls))
    for i, (ax, method) in enumerate(zip(axes, bowls, strict=True)):
        _draw(ax, bowls[method], None if method == baseline else base, rise, half)
        _head(figure, (i + 0.5) / len(bowls), method, groups[method])
    figure.text(
        0.5, 0.02, _words(groups, rise, base is not None, baseline), ha="center", fontsize=7.5,
        color=GREY,
    )  # fmt: skip

    def show(i: int) -> None:
        for ax in axes:
            ax.view_init(ELEVATION, START + 360 * i / FRAMES)

    return Animation(figure, FRAMES, show, accents=(rise_panel.CONTOUR,))


def _chosen(
    groups: dict[str, list[RiseAreaRecord]], baseline: str
) -> dict[str, list[RiseAreaRecord]]:
    """At most two methods, the baseline first."""
    areas = {m: np.nan_to_num(rise_panel.mean_area(found)) for m, found in groups.items()}
    others = sorted((m for m in groups if m != baseline), key=lambda m: -areas[m])
    names = [m for m in (baseline, *others) if m in groups][:BESIDE]
    return {method: groups[method] for method in names}


def _panels(count: int) -> tuple[Figure, list[Any]]:
    """A figure with 3-D axes side by side, 640 × 370 or 400 × 370 points of a screen."""
    figure = Figure(figsize=(6.4 if count > 1 else 4.0, 3.7))
    width = 1 / count
    axes = [
        figure.add_axes((i * width - 0.03, 0.02, width + 0.06, 0.85), projection="3d")
        for i in range(count)
    ]
    return figure, axes


def _draw(ax: Any, shape: Bowl, base: Array | None, rise: float, half: float) -> None:
    top, floor = CUT * rise, FLOOR * CUT * rise
    for line in shape.lines.values():
        ax.plot(*line.T, floor, color=THIN, linewidth=0.8, zorder=1)
    if base is not None and len(base):
        ax.plot(*base.T, floor, color=DASHED, linewidth=1.3, linestyle=(0, (3, 2)), zorder=2)
    if len(shape.ring):
        ax.plot(*shape.ring.T, floor, color=rise_panel.CONTOUR, linewidth=2.4, zorder=3)
    quads, colours = _solid(shape, rise, half)
    solid = Poly3DCollection(quads, facecolors=colours, edgecolors=colours, linewidths=0.3)
    solid.set_zorder(5)
    ax.add_collection3d(solid)
    ax.computed_zorder = False
    ax.set(xlim=(-half, half), ylim=(-half, half), zlim=(floor, top))
    ax.set_box_aspect((1, 1, ASPECT), zoom=1.25)
    ax.set_axis_off()


def _solid(shape: Bowl, rise: float, half: float) -> tuple[Array, Array]:
    """The quads of the bowl and of its ring, (k, 4, 3), with their lit colours, (k, 3)."""
    mesh = np.stack([axis[:, ::STRIDE] for axis in (shape.x, shape.y, shape.z)], axis=-1)
    corners = [mesh[:-1, :-1], mesh[1:, :-1], mesh[1:, 1:], mesh[:-1, 1:]]
    quads = np.stack(corners, axis=2).reshape(-1, 4, 3)
    size = np.array([half, half, CUT * rise / ASPECT])  # lengths as they look
    normal = np.cross((quads[:, 2] - quads[:, 0]) / size, (quads[:, 3] - quads[:, 1]) / size)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    normal *= np.where(normal[:, 2:] < 0, -1, 1)
    shade = np.clip(0.72 + 0.34 * normal @ LIGHT, 0.5, 1.08)[:, None]
    height = quads[..., 2].mean(axis=1) / (CUT * rise)
    colours = np.clip(MAP(height)[:, :3] * shade, 0, 1)
    if not len(shape.ring):
        return quads, colours
    wall = _wall(shape.ring, rise, 0.022 * CUT * rise)
    red = np.tile(to_rgb(rise_panel.CONTOUR), (len(wall), 1))
    return np.concatenate([quads, wall]), np.concatenate([colours, red])


def _wall(ring: Array, rise: float, height: float) -> Array:
    """Upright quads along a ring, just inside and just outside of the bowl, (k, 4, 3)."""
    quads = []
    for near in (0.97, 1.02):
        line = near * ring
        low, high = (
            np.column_stack([line, np.full(len(line), rise + h)]) for h in (-height, height)
        )
        quads.append(np.stack([low[:-1], low[1:], high[1:], high[:-1]], axis=1))
    return np.concatenate(quads)


def _head(figure: Figure, at: float, method: str, found: Sequence[RiseAreaRecord]) -> None:
    area = rise_panel.mean_area(found)
    curvature = np.mean([record.eigenvalues[0] for record in found])
    number = f"{area:#.3g}" if np.isfinite(area) else "–"
    name = text(style_of(method).label) if method else ""
    figure.text(at, 0.925, name, ha="center", fontsize=13, fontweight="bold", color=INK)
    words = f"area {number}   λ max {curvature:#.3g}"
    figure.text(at, 0.865, words, ha="center", fontsize=9, color=GREY)


def _words(
    groups: dict[str, list[RiseAreaRecord]], rise: float, dashed: bool, baseline: str
) -> str:
    seeds = [len(found) for found in groups.values()]
    parts = [f"red: loss {rise:g} above the trained weights"]
    parts += [f"dashed: {style_of(baseline).label}’s"] * dashed
    parts += [f"numbers: means of {counts(seeds, 'seed')}"] * (max(seeds) > 1)
    return " · ".join(parts)
