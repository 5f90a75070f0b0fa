"""Extreme eigenvalues of the Hessian: how curved each minimum is, and in how many directions."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from landscape.plots.drawing.prepare import ByMethod, conditions, counts, grouped
from landscape.plots.drawing.style import (
    GREY,
    INK,
    drawing_of,
    empty,
    sheet,
    style_of,
    styled,
    text,
)
from landscape.records import Array, EigenvaluesRecord

WIDTH = 0.7  # of a method's slot that its seeds share
LETTER = 0.056  # inches of a name along the axis


@styled
def spectrum(records: ByMethod[EigenvaluesRecord], ax: Axes | None = None) -> Figure:
    """Filled markers are positive, hollow ones negative eigenvalues; bars are residual bounds.

    Several methods: one slot per method, one column per seed. One method: a stem per eigenvalue, in
    order. An eigenvalue that did not converge is crossed out. Linear, or linear near zero and
    logarithmic beyond where the largest is more than 50 times the median.
    """
    groups = grouped(records, EigenvaluesRecord)
    several = len(groups) > 1
    page = sheet(ax, 1, columns=1, height=3.0 if several else 2.6, extra=0.2)
    panel = page.axes[0]
    everything = np.concatenate([record.values for group in groups.values() for record in group])
    if np.isfinite(everything).any():
        for slot, (method, group) in enumerate(groups.items()):
            with drawing_of(panel, method):
                _method(panel, slot, method, group, several)
        _scale(panel, everything[np.isfinite(everything)])
    else:
        empty(panel, "no eigenvalue was computed")
    panel.axhline(0.0, color=INK, linewidth=0.8, zorder=1)
    panel.set_ylabel("eigenvalue of the Hessian")
    panel.grid(False, axis="x")
    _name(panel, groups, several)
    flat = [record for group in groups.values() for record in group]
    seeds = counts([len(group) for group in groups.values()], "seed")
    page.foot(
        [],
        " · ".join(
            part
            for part in (
                _asked(flat),
                "hollow: negative" if any((r.values < 0).any() for r in flat) else "",
                "×: not converged" if any(not np.all(r.converged) for r in flat) else "",
                "bars: residual bounds",
                f"{seeds} side by side" if several or len(flat) > 1 else "",
                conditions(flat),
            )
            if part
        ),
    )
    return page.figure


def _asked(flat: list[EigenvaluesRecord]) -> str:
    """Which eigenvalues these are, where all records hold the same ones."""
    kinds = {(record.which, len(record.values)) for record in flat}
    if len(kinds) > 1:
        return ""
    ((which, k),) = kinds
    return {
        "magnitude": f"the {k} largest in magnitude",
        "largest": f"the {k} largest",
        "smallest": f"the {k} smallest",
        "both": f"the {k // 2} largest and the {k // 2} smallest",
    }.get(which, "")


def _method(
    ax: Axes, slot: int, method: str, group: list[EigenvaluesRecord], several: bool
) -> None:
    gap = WIDTH / max(len(group), 1)
    for seed, record in enumerate(group):
        values = np.asarray(record.values, dtype=float)
        offset = gap * (seed - (len(group) - 1) / 2)
        if several:
            x = np.full(len(values), slot + offset)
            finite = values[np.isfinite(values)]
            if finite.size:
                ax.vlines(
                    slot + offset, *_span(finite), color=style_of(method).colour, linewidth=0.5
                )
        else:
            x = np.arange(1, len(values) + 1) + offset
            ax.vlines(x, 0.0, values, color=style_of(method).colour, linewidth=0.8)
        _markers(ax, x, values, record, style_of(method).colour, 3.2 if several else 4.5)


def _span(values: Array) -> tuple[float, float]:
    return min(values.min(), 0.0), max(values.max(), 0.0)


def _markers(
    ax: Axes, x: Array, values: Array, record: EigenvaluesRecord, colour: str, size: float
) -> None:
    for chosen, face in ((values >= 0, colour), (values < 0, ax.get_facecolor())):
        if chosen.any():
            ax.errorbar(
                x[chosen], values[chosen], yerr=np.nan_to_num(record.bounds[chosen]), fmt="o",
                color=colour, markerfacecolor=face, markersize=size, markeredgewidth=0.8,
                elinewidth=0.9, capsize=1.8,
            )  # fmt: skip
    loose = ~np.asarray(record.converged, dtype=bool)
    if loose.any():
        ax.plot(x[loose], values[loose], "x", color=INK, markersize=size + 2)


def _scale(ax: Axes, values: Array) -> None:
    sizes = np.abs(values[values != 0])
    if sizes.size and sizes.max() > 50 * np.median(sizes):
        ax.set_yscale("symlog", linthresh=10.0 ** np.floor(np.log10(np.quantile(sizes, 0.1))))


def _name(ax: Axes, groups: dict[str, list[EigenvaluesRecord]], several: bool) -> None:
    if several:
        names = [style_of(method).label for method in groups]
        ax.set_xticks(range(len(names)), [text(name) for name in names])
        slot = ax.bbox.width / ax.figure.dpi / len(names)
        if LETTER * max(map(len, names)) > slot:
            for label in ax.get_xticklabels():
                label.set(rotation=40, ha="right", rotation_mode="anchor")
        ax.tick_params(axis="x", length=0)
        for line in range(1, len(groups)):
            ax.axvline(line - 0.5, color=GREY, linewidth=0.3)
        ax.set_xlim(-0.5, len(groups) - 0.5)
    else:
        ax.set_xlabel("number of the eigenvalue")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set_title(text(style_of(next(iter(groups))).label))
