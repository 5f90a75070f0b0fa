"""Does flatness go with generalisation? One point per minimum: a measure against the gap."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from landscape.plots.drawing.prepare import axis_label, scale
from landscape.plots.drawing.style import (
    TWO_COLUMNS,
    drawing_of,
    empty,
    even_columns,
    fitting,
    sheet,
    style_of,
    styled,
)
from landscape.records import ComparisonRecord, StudyRecord

GAP = "generalisation_gap"
CHOSEN = ("lambda_max", "kappa", "kappa_hat", "noise_sigma_5")
SIZES = {"D": 0.8, "s": 0.9, "P": 1.25, "X": 1.2, "*": 1.4}  # to look as large as a circle


@styled
def scatter(
    study: StudyRecord,
    comparison: ComparisonRecord | None = None,
    measures: Sequence[str] | None = None,
    ax: Axes | Sequence[Axes] | None = None,
) -> Figure:
    """Draw one panel per measure; its title has Kendall's tau-b and interval, from `comparison`.

    measures: default those of `comparison`, else `CHOSEN`; the ones that were computed.
    Raises ValueError where the study holds no such measure.
    """
    chosen = chosen_measures(study, comparison, measures)
    columns = even_columns(len(chosen))
    columns, width = fitting(columns, 4.2 if columns == 1 else TWO_COLUMNS)
    page = sheet(ax, len(chosen), columns=columns, width=width, height=2.4, extra=0.6)
    for number, (panel, measure) in enumerate(zip(page.axes, chosen, strict=True)):
        _points(panel, study, measure)
        panel.set_xlabel(axis_label(measure, [study]))
        if number % columns == 0:
            panel.set_ylabel(axis_label(GAP))
        panel.set_title(title(comparison, measure))
    page.foot([str(method) for method in study.methods], "one point per minimum", line=False)
    return page.figure


def chosen_measures(
    study: StudyRecord,
    comparison: ComparisonRecord | None = None,
    measures: Sequence[str] | None = None,
) -> list[str]:
    """Those that both versions of the figure show, see `scatter`."""
    known = [str(metric) for metric in study.metrics]
    if measures is None:
        wanted = CHOSEN if comparison is None else [str(m) for m in comparison.measures]
        measures = [
            m for m in wanted if m in known and np.isfinite(study.table[known.index(m)]).any()
        ]
    unknown = [measure for measure in measures if measure not in known]
    if unknown or not measures:
        found = repr(unknown[0]) if unknown else "none"
        raise ValueError(f"`measures` must be among {', '.join(known)}. Got {found}.")
    return list(measures)


def _points(ax: Axes, study: StudyRecord, measure: str) -> None:
    drawn = False
    for method in map(str, study.methods):
        x, y = study.values(measure, method), study.values(GAP, method)
        both = np.isfinite(x) & np.isfinite(y)
        style = style_of(method)
        with drawing_of(ax, method, [f"seed {seed}" for seed in study.seeds[both]]):
            ax.plot(x[both], y[both], style.marker, color=style.colour, alpha=0.85,
                    markersize=5.2 * SIZES.get(style.marker, 1.0), markeredgewidth=0.3,
                    markeredgecolor=ax.get_facecolor())  # fmt: skip
        drawn |= bool(both.any())
    if not drawn:
        empty(ax, "no minimum has both numbers")
        return
    i = list(study.metrics).index(measure)
    ax.set_xscale(scale(np.ravel(study.table[i])))


def title(comparison: ComparisonRecord | None, measure: str) -> str:
    """Kendall's tau-b with its interval, as far as `comparison` knows it."""
    if comparison is None or measure not in list(comparison.measures):
        return ""
    i = list(comparison.measures).index(measure)
    tau, low, high = (
        float(a[i]) for a in (comparison.tau, comparison.tau_low, comparison.tau_high)
    )
    if not np.isfinite(tau):
        return "τ not computed"
    interval = f" [{low:+.2f}, {high:+.2f}]" if np.isfinite(low) and np.isfinite(high) else ""
    return f"τ = {tau:+.2f}{interval}".replace("-", "−")
