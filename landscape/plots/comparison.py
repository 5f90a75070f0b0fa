"""Dots with 95 % intervals: what each method reached, and how far it is from the baseline."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from landscape.plots.prepare import axis_label, counts, established, scale, shown
from landscape.plots.style import GREY, INK, Sheet, look, sheet, styled, text
from landscape.records import Array, ComparisonRecord

CHOSEN = (
    "test_accuracy",
    "test_loss",
    "generalisation_gap",
    "lambda_max",
    "kappa_hat",
    "noise_sigma_5",
)


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
    page = _panels(methods, chosen, ax)
    for panel, metric in zip(page.axes, chosen, strict=True):
        i = list(record.metrics).index(metric)
        values = shown(metric, [record.mean[i], record.low[i], record.high[i]])
        _dots(panel, methods, values, solid=np.ones(len(methods), dtype=bool))
        panel.set_xscale(scale(values))
        panel.set_xlabel(axis_label(metric))
    seeds = counts([int(n) for n in np.ravel(record.n) if n > 0] or [0], "seed")
    several = bool((record.n > 1).any())
    page.foot([], f"mean over {seeds}, " + ("bars: 95 % t interval" if several else "no interval"))
    return page.figure


@styled
def differences(
    record: ComparisonRecord,
    metrics: Sequence[str] | None = None,
    ax: Axes | Sequence[Axes] | None = None,
) -> Figure:
    """Paired difference to the baseline, method minus baseline, with its 95 % t interval.

    A filled dot: the interval leaves out zero and the difference holds after Holm's correction.
    """
    chosen = chosen_metrics(record, metrics)
    others = np.asarray(record.methods) != record.baseline
    methods = [str(method) for method in record.methods[others]]
    page = _panels(methods, chosen, ax)
    for panel, metric in zip(page.axes, chosen, strict=True):
        i = list(record.metrics).index(metric)
        triple = (record.difference[i], record.difference_low[i], record.difference_high[i])
        values = shown(metric, [array[others] for array in triple])
        _dots(panel, methods, values, solid=established(record, i)[others])
        panel.axvline(0.0, color=INK, linewidth=0.8, zorder=1)
        panel.set_xlabel("Δ " + axis_label(metric).replace("(%)", "(percentage points)"))
    words = "bars: 95 % t interval · filled: holds after Holm's correction over the methods"
    page.foot([], f"method minus {look(record.baseline).label}, paired over seeds · {words}")
    return page.figure


def chosen_metrics(record: ComparisonRecord, metrics: Sequence[str] | None = None) -> list[str]:
    """What both figures show; ValueError for a metric that the record does not hold."""
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
        panel.set_yticks(range(len(methods)), [text(look(method).label) for method in methods])
        panel.set_ylim(len(methods) - 0.4, -0.6)  # the first method on top
        panel.tick_params(axis="y", length=0)
    return page


def _dots(ax: Axes, methods: list[str], values: Array, solid: Array) -> None:
    """values: (3, methods): mean, low, high. Hollow where not `solid`."""
    if not np.isfinite(values[0]).any():
        ax.text(0.5, 0.5, "not computed", transform=ax.transAxes, ha="center", color=GREY)
        return
    for row, (method, (mean, low, high)) in enumerate(zip(methods, values.T, strict=True)):
        style = look(method)
        if not np.isfinite(mean):
            ax.annotate("–", (0.02, row), xycoords=("axes fraction", "data"), va="center")
            continue
        if np.isfinite(low) and np.isfinite(high):
            ax.hlines(row, low, high, color=style.colour, linewidth=1.2)
        face = style.colour if solid[row] else ax.get_facecolor()
        ax.plot(mean, row, style.marker, color=style.colour, markerfacecolor=face, markersize=5)
