"""Minima and saddles of a surface, drawn over it; those below the noise in grey."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from landscape.plots.drawing.prepare import counts
from landscape.plots.drawing.style import GREY, INK, WHITE
from landscape.records import SurfaceRecord


def noise_of(record: SurfaceRecord) -> float:
    """Twice the standard error of the loss over the examples, at w; 0 where it is not known.

    Differences of the loss between two points are known better, so it is on the safe side.
    """
    if record.point is None or not np.isfinite(record.relative_stderr):
        return 0.0
    return 2 * record.relative_stderr * abs(record.point.loss)


def mark(ax: Axes, record: SurfaceRecord) -> None:
    """Triangles at the minima, diagonal crosses at the saddles where they meet a lower one."""
    tree = record.merge_tree()
    x, y = np.asarray(record.x), np.asarray(record.y)
    for place, saddle, clear in zip(
        tree.minima, tree.saddles, tree.above(noise_of(record)), strict=True
    ):
        face = INK if clear else GREY
        ax.plot(
            x[place[0]], y[place[1]], "v", color=face, markersize=6 if clear else 4,
            markeredgecolor=WHITE, markeredgewidth=0.8,
        )  # fmt: skip
        if saddle[0] >= 0:
            ax.plot(x[saddle[0]], y[saddle[1]], "x", color=WHITE, markersize=6, markeredgewidth=2.4)
            ax.plot(x[saddle[0]], y[saddle[1]], "x", color=face, markersize=5, markeredgewidth=1.1)


def words(records: Sequence[SurfaceRecord]) -> str:
    """Describe the marks for a caption: how many minima, and what is grey."""
    trees = [(record.merge_tree(), noise_of(record)) for record in records]
    clear = [int(tree.above(noise).sum()) for tree, noise in trees]
    total = [len(tree.minima) for tree, _ in trees]
    found = counts(clear, "minimum").replace("minimums", "minima")
    parts = [f"▼ {found} of this plane, × saddles"]
    if total != clear:
        parts.append("grey: shallower than twice the standard error")
    if any((tree.on_border & tree.above(noise)).any() for tree, noise in trees):
        parts.append("one on the edge may go on outside")
    return ", ".join(parts)
