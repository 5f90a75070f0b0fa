"""Number of eigenvalues of the Hessian above λ: how many directions are at least so curved."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from landscape.plots.drawing.multiples import curves_page
from landscape.plots.drawing.prepare import (
    ByMethod,
    conditions,
    counts,
    grouped,
    matrix_name,
    t_band,
)
from landscape.plots.drawing.style import drawing_of, empty, style_of, styled, text
from landscape.records import Array, EigenvaluesRecord

CUT = 0.5  # eigenvalues: below half of one there is none
POINTS = 201  # of a curve
LEVELS = [m * 10.0**e for e in range(9) for m in (1, 2, 5)]

Counts = tuple[Array, Array]  # λ (g,) and the number above it in each minimum (s, g)


@styled
def eigenvalue_count(
    records: ByMethod[EigenvaluesRecord], ax: Axes | None = None, *, baseline: str = ""
) -> Figure:
    """Number of eigenvalues above λ, on a logarithmic axis cut at 0.5; a line per method.

    Several minima: the mean over them with its 95 % t interval. Only the k eigenvalues that were
    computed are known, so each curve ends on the left at the smallest one down to which all its
    minima know every positive eigenvalue. A method with an eigenvalue that is not finite, or that
    knows its smallest ones alone, has no curve.

    More than three methods on a figure of its own: small multiples, the baseline (default sgd, or
    the first) in grey.
    """
    groups = grouped(records, EigenvaluesRecord)
    counted = {method: counts_above(group) for method, group in groups.items()}
    flat = [record for group in groups.values() for record in group]
    seeds = counts([len(group) for group in groups.values()], "seed")
    several = any(len(group) > 1 for group in groups.values())
    loose = not all(np.all(record.converged) for record in flat)
    words = (
        f"mean over {seeds}, band: 95 % t interval" if several else f"{seeds}: no band",
        "a curve ends at the smallest λ known for all seeds",
        "some eigenvalues did not converge" if loose else "",
        "no curve: too few eigenvalues are known" if not all(map(_any, counted.values())) else "",
        conditions(flat),
    )
    return curves_page(
        groups, 1, lambda panel, _: _panel(panel, counted, text(matrix_name(flat))),
        " · ".join(filter(None, words)), ax=ax, baseline=baseline, height=3.0, extra=0.4,
        mark=False,
    ).figure  # fmt: skip


def counts_above(group: list[EigenvaluesRecord]) -> Counts:
    """The number of eigenvalues above each λ, from where all are known up to the largest.

    Both are empty where no eigenvalue lies above the smallest known λ.
    """
    lowest = max(known_down_to(record) for record in group)
    top = max((float(record.values.max()) for record in group), default=np.nan)
    if not lowest < top < np.inf:  # also where one is not a number
        return np.empty(0), np.empty((len(group), 0))
    grid = np.linspace(lowest, top, POINTS)
    return grid, np.stack([(record.values[:, None] > grid).sum(axis=0) for record in group])


def known_down_to(record: EigenvaluesRecord) -> float:
    """Smallest λ ≥ 0 above which the record holds every eigenvalue; ∞ where there is none."""
    values = np.asarray(record.values, dtype=float)
    if not values.size or not np.isfinite(values).all() or record.which == "smallest":
        return float("inf")
    if record.which == "magnitude":
        return float(np.abs(values).min())
    largest = np.sort(values)[::-1]
    return max(float(largest[len(values) // 2 - 1 if record.which == "both" else -1]), 0.0)


def _any(counted: Counts) -> bool:
    return counted[0].size > 0


def _panel(ax: Axes, counted: dict[str, Counts], matrix: str) -> None:
    ax.set(xlabel=f"λ, {matrix}", ylabel="eigenvalues above λ")
    tops = []
    for method, (grid, above) in counted.items():
        if grid.size:
            mean, low, high = t_band(above)
            colour = style_of(method).colour
            with drawing_of(ax, method):
                ax.plot(grid, mean, color=colour)
                ax.fill_between(
                    grid, np.maximum(low, 0.0), high, color=colour, alpha=0.15, linewidth=0
                )
            tops.append(mean.max())
    if not tops:
        empty(ax, "too few eigenvalues were computed")
        return
    ax.set_yscale("log")
    ax.set_ylim(CUT, 1.5 * max(tops))
    ax.set_xlim(left=0.0)
    ticks = [level for level in LEVELS if level <= 1.5 * max(tops)]
    ax.yaxis.set_major_locator(FixedLocator(ticks))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter("{x:g}")
    if len(counted) == 1:
        ax.set_title(text(style_of(next(iter(counted))).label))
