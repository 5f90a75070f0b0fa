"""Metrics of a sequence of tasks as bars, one for each method."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from landscape.plots.drawing.bands import over_minima
from landscape.plots.drawing.prepare import ByMethod, grouped, t_band
from landscape.plots.drawing.style import (
    INK,
    PAPER,
    drawing_of,
    empty,
    even_columns,
    sheet,
    style_of,
    styled,
    text,
)
from landscape.records import Array, LifelongRecord

LABELS = {
    "average_accuracy": "average accuracy (%)",
    "learning_accuracy": "accuracy just after each task (%)",
    "forgetting": "forgetting (points)",
    "backward_transfer": "backward transfer (points)",
    "forward_transfer": "forward transfer (points)",
}
ROOM = 0.08  # of the intervals' span, at either end of an axis
LEAST = 5.0  # points that a span counts at least, so that equal bars are seen


@styled
def lifelong_metrics(
    records: ByMethod[LifelongRecord],
    metrics: Sequence[str] = tuple(LABELS),
    ax: Axes | Sequence[Axes] | None = None,
) -> Figure:
    """A panel per metric, a bar per method: the mean over seeds, with its 95 % t interval.

    Bars of accuracies start where the axis does, those of the others at zero. Where every record
    has a single task there is nothing to forget or to transfer, and the panel says so.

    Raises ValueError for an unknown metric.
    """
    groups = grouped(records, LifelongRecord)
    if unknown := [name for name in metrics if name not in LABELS]:
        raise ValueError(f"`metrics` must be among {', '.join(LABELS)}. Got {unknown[0]!r}.")
    height = 0.7 + 0.19 * len(groups)
    page = sheet(ax, len(metrics), columns=even_columns(len(metrics)), height=height, extra=0.15)
    for panel, name in zip(page.axes, metrics, strict=True):
        values = {m: np.array([100 * getattr(r, name) for r in rs]) for m, rs in groups.items()}
        if any(np.isfinite(samples).any() for samples in values.values()):
            _bars(panel, values, from_zero=not name.endswith("accuracy"))
        else:
            empty(panel, "not defined for one task")
        panel.set_xlabel(LABELS[name])
    page.foot([], over_minima(groups).replace("band", "line"))
    return page.figure


def _bars(ax: Axes, values: dict[str, Array], *, from_zero: bool) -> None:
    ends = np.array([_ends(samples) for samples in values.values()])
    low, high = float(np.nanmin(ends)), float(np.nanmax(ends))
    room = ROOM * max(high - low, LEAST)
    left, right = (min(low, 0.0), max(high, 0.0)) if from_zero else (low, high)
    left, right = (left - room, right + room) if left < 0 or not from_zero else (0, right + room)
    right = right if from_zero else min(right, 100.0)
    ax.set(xlim=(left, right), ylim=(len(values) - 0.4, -0.6))
    ax.set_yticks(range(len(values)), [text(style_of(method).label) for method in values])
    ax.grid(False, axis="y")
    start = 0.0 if from_zero else left
    for row, (method, samples) in enumerate(values.items()):
        mean, first, last = t_band(samples[:, None])
        with drawing_of(ax, method):
            ax.barh(row, float(mean[0]) - start, 0.62, start, color=style_of(method).colour)
            for colour, width in ((PAPER, 3.0), (INK, 1.2)):
                ax.plot([first[0], last[0]], [row, row], color=colour, linewidth=width)
    if from_zero:
        ax.axvline(0.0, color=INK, linewidth=0.8)


def _ends(samples: Array) -> list[float]:
    """Mean and both ends of the interval."""
    return [float(end[0]) for end in t_band(samples[:, None])]
