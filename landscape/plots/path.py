"""The loss on the straight line between two minima, and the barrier on it."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from landscape.plots.levels import rounded
from landscape.plots.prepare import ByMethod, axis_label, conditions, grouped, shown
from landscape.plots.style import GREY, empty, look, sheet, styled
from landscape.records import PathRecord


@styled
def path(
    records: ByMethod[PathRecord],
    quantities: Sequence[str] = ("loss", "accuracy"),
    ax: Axes | Sequence[Axes] | None = None,
) -> Figure:
    """A line per minimum to the other end; dotted its chord, with the barrier as a bar above it;
    dashed: the same line on the other data set that was walked over.
    """
    groups = grouped(records, PathRecord)
    page = sheet(ax, len(quantities), columns=min(2, len(quantities)), extra=0.6)
    ends = sorted({record.end for found in groups.values() for record in found})
    for panel, quantity in zip(page.axes, quantities, strict=True):
        _panel(panel, groups, quantity)
        panel.set(xlabel=f"share of the way to {' / '.join(ends)}", xlim=(-0.02, 1.02))
    page.foot(groups, _caption(groups))
    return page.figure


def _panel(ax: Axes, groups: dict[str, list[PathRecord]], quantity: str) -> None:
    ax.set_ylabel(axis_label(quantity))
    flat = [(look(method).colour, record) for method, found in groups.items() for record in found]
    for colour, record in flat:
        ax.plot(record.t, shown(quantity, getattr(record, quantity)), color=colour)
        if record.other is not None:
            values = shown(quantity, getattr(record.other, quantity))
            ax.plot(record.t, values, "--", color=colour, linewidth=1.0)
        if quantity == "loss":
            _barrier(ax, record, colour)
    if not any(np.isfinite(getattr(record, quantity)).any() for _, record in flat):
        empty(ax, "not computed for this task")


def _barrier(ax: Axes, record: PathRecord, colour: str) -> None:
    """The chord between the ends, and a bar from it to the highest point above it."""
    chord = (1 - record.t) * record.loss[0] + record.t * record.loss[-1]
    ax.plot(record.t, chord, ":", color=GREY, linewidth=0.9)
    if np.isfinite(record.barrier) and record.barrier > 0:
        at = int(np.argmax(record.loss - chord))
        ax.plot([record.t[at]] * 2, [chord[at], record.loss[at]], color=colour, linewidth=0.8)


def _caption(groups: dict[str, list[PathRecord]]) -> str:
    flat = [record for found in groups.values() for record in found]
    heights = [
        f"{look(method).label} {', '.join(rounded(r.barrier) for r in found)}".strip()
        for method, found in groups.items()
    ]
    parts = [f"barrier over the dotted chord: {'; '.join(heights)}", conditions(flat)]
    beside = [record.other for record in flat if record.other is not None]
    if beside:
        parts.append(f"dashed: {conditions(beside)}")
    if any(record.stale for record in flat):
        parts.append("batch norm keeps the statistics of the first end: no barrier of two networks")
    return " · ".join(filter(None, parts))
