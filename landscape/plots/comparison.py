"""Dots with 95 % intervals: what each method reached, and how far it is from the baseline.

Where a few intervals would leave no room for the others they leave the panel, with an arrow.
"""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from landscape.plots.drawing.prepare import axis_label, counts, scale, shown
from landscape.plots.drawing.style import (
    BASELINE,
    GREY,
    HIGHER,
    INK,
    LOWER,
    NOT_SHOWN,
    Sheet,
    sheet,
    style_of,
    styled,
    text,
)
from landscape.records import Array, ComparisonRecord

CHOSEN = (
    "test_accuracy",
    "test_loss",
    "generalisation_gap",
    "lambda_max",
    "kappa_hat",
    "noise_sigma_5",
)
TOO_WIDE = 1.5  # an axis is cut where that makes it so many times shorter
GOES_ON = " · ◂ ▸: goes on"
ROOM = 0.25  # beyond the outermost dots, in their distance


@styled
def comparison(
    record: ComparisonRecord,
    metrics: Sequence[str] | None = None,
    ax: Axes | Sequence[Axes] | None = None,
) -> Figure:
    """Mean over seeds with its 95 % t interval, one panel per metric, one row per method.

    metrics: default `CHOSEN`, those that were computed.
    Raises ValueError for a metric that the record does not hold.
    """
    chosen = chosen_metrics(record, metrics)
    methods = [str(method) for method in record.methods]
    page, cut = _panels(methods, chosen, ax), False
    for panel, metric in zip(page.axes, chosen, strict=True):
        i = list(record.metrics).index(metric)
        values = shown(metric, [record.mean[i], record.low[i], record.high[i]])
        panel.set_xscale(scale(values))
        colours = [BASELINE if method == record.baseline else INK for method in methods]
        _dots(panel, colours, values, solid=np.ones(len(methods), dtype=bool))
        cut |= _cut(panel, colours, values)
        panel.set_xlabel(axis_label(metric, [record]))
    seeds = counts([int(n) for n in np.ravel(record.n) if n > 0] or [0], "seed")
    several = bool((record.n > 1).any())
    words = "bars: 95 % t interval" if several else "no interval"
    page.foot([], f"mean over {seeds}, {words}{GOES_ON if cut else ''}")
    return page.figure


@styled
def differences(
    record: ComparisonRecord,
    metrics: Sequence[str] | None = None,
    ax: Axes | Sequence[Axes] | None = None,
) -> Figure:
    """Paired difference to the baseline, method minus baseline, with its 95 % t interval.

    A filled dot: the record's `direction`, the interval excludes zero and Holm's test agrees; blue
    is lower, orange higher.
    """
    chosen = chosen_metrics(record, metrics)
    others = np.asarray(record.methods) != record.baseline
    methods = [str(method) for method in record.methods[others]]
    page, cut = _panels(methods, chosen, ax), False
    for panel, metric in zip(page.axes, chosen, strict=True):
        i = list(record.metrics).index(metric)
        triple = (record.difference[i], record.difference_low[i], record.difference_high[i])
        values = shown(metric, [array[others] for array in triple])
        directions = record.direction[i][others]
        colours = [{1.0: HIGHER, -1.0: LOWER}.get(float(d), NOT_SHOWN) for d in directions]
        _dots(panel, colours, values, solid=np.abs(directions) == 1)
        panel.axvline(0.0, color=INK, linewidth=0.8, zorder=1)
        cut |= _cut(panel, colours, values, also=0.0)
        panel.set_xlabel("Δ " + axis_label(metric, [record]).replace("(%)", "(percentage points)"))
    words = "bars: 95 % t interval · filled: significant after Holm's correction"
    words += ", blue lower, orange higher"
    words += GOES_ON if cut else ""
    page.foot([], f"method minus {style_of(record.baseline).label}, paired over seeds · {words}")
    return page.figure


def chosen_metrics(record: ComparisonRecord, metrics: Sequence[str] | None = None) -> list[str]:
    """Metrics that both figures show; ValueError for one that the record does not hold."""
    known = [str(metric) for metric in record.metrics]
    unknown = [metric for metric in metrics or () if metric not in known]
    if unknown:
        raise ValueError(f"`metrics` must be among {', '.join(known)}. Got {unknown[0]!r}.")
    if metrics:
        return list(metrics)
    computed = [m for m in known if np.isfinite(record.mean[known.index(m)]).any()]
    return [m for m in CHOSEN if m in computed] or computed[:1] or known[:1]


def _panels(methods: list[str], chosen: list[str], ax: Axes | Sequence[Axes] | None) -> Sheet:
    height = 0.75 + 0.17 * len(methods)
    columns = min(3, len(chosen))
    page = sheet(ax, len(chosen), columns=columns, height=height, extra=0.15, sharey=ax is None)
    for panel in page.axes:
        panel.set_yticks(range(len(methods)), [text(style_of(method).label) for method in methods])
        panel.set_ylim(len(methods) - 0.4, -0.6)  # the first method on top
        panel.tick_params(axis="y", length=0)
    return page


def _dots(ax: Axes, colours: Sequence[str], values: Array, solid: Array) -> None:
    """A row per method. values: (3, methods): mean, low, high. Hollow where not `solid`."""
    if not np.isfinite(values[0]).any():
        ax.text(0.5, 0.5, "not computed", transform=ax.transAxes, ha="center", color=GREY)
        return
    for row, (colour, (mean, low, high)) in enumerate(zip(colours, values.T, strict=True)):
        if not np.isfinite(mean):
            ax.annotate("–", (0.02, row), xycoords=("axes fraction", "data"), va="center")
            continue
        if np.isfinite(low) and np.isfinite(high):
            ax.hlines(row, low, high, color=colour, linewidth=1.2)
        face = colour if solid[row] else ax.get_facecolor()
        ax.plot(mean, row, "o", color=colour, markerfacecolor=face, markersize=5)


def in_sight(values: Array, also: float = math.nan) -> tuple[float, float] | None:
    """Ends of an axis that leaves out the far ends of wide intervals; None where all fit.

    values: (3, methods): mean, low, high. also: a place that has to stay in sight.
    """
    mean, low, high = (row[np.isfinite(values).all(0)] for row in values)
    if not mean.size:
        return None
    first, last = np.nanmin([*low, also]), np.nanmax([*high, also])
    left, right = np.nanmin([*mean, also]), np.nanmax([*mean, also])
    room = max(ROOM * (right - left), 2 * float(np.median(high - low)))
    left, right = max(left - room, first), min(right + room, last)
    return None if last - first <= TOO_WIDE * (right - left) else (left, right)


def _cut(ax: Axes, colours: Sequence[str], values: Array, also: float = math.nan) -> bool:
    """Leave out the far ends of wide intervals, an arrow in their place; whether any was."""
    ends = in_sight(values, also) if ax.get_xscale() == "linear" else None
    if ends is None:
        return False
    left, right = ends
    ax.set_xlim(left - 0.05 * (right - left), right + 0.05 * (right - left))
    for row, (colour, (_, start, end)) in enumerate(zip(colours, values.T, strict=True)):
        for beyond, place, arrow in ((start < left, 0.0, "<"), (end > right, 1.0, ">")):
            if beyond:
                ax.plot(
                    place, row, arrow, color=colour, markersize=4, clip_on=False,
                    transform=ax.get_yaxis_transform(),
                )  # fmt: skip
    return True
