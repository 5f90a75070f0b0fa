"""The loss on the straight line between two minima, and the barrier on it."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from landscape.plots.drawing.levels import rounded
from landscape.plots.drawing.method_styles import MethodStyle
from landscape.plots.drawing.prepare import ByMethod, axis_label, conditions, grouped, shown
from landscape.plots.drawing.style import GREY, drawing_of, empty, sheet, style_of, styled, text
from landscape.records import PathRecord


@styled
def path(
    records: ByMethod[PathRecord],
    quantities: Sequence[str] = ("loss", "accuracy"),
    ax: Axes | Sequence[Axes] | None = None,
) -> Figure:
    """A line per minimum to the other end; dotted its chord; a marker where the line stands highest
    above it, and for a single line the barrier as a bar; dashed: the same on the other data.
    """
    groups = grouped(records, PathRecord)
    page = sheet(ax, len(quantities), columns=min(2, len(quantities)), extra=0.6)
    ends = sorted({_named(record.end) for group in groups.values() for record in group})
    for panel, quantity in zip(page.axes, quantities, strict=True):
        _panel(panel, groups, quantity)
        panel.set(xlabel=text(f"share of the way to {' / '.join(ends)}"), xlim=(-0.02, 1.02))
    page.foot(groups, _caption(groups))
    return page.figure


def _panel(ax: Axes, groups: dict[str, list[PathRecord]], quantity: str) -> None:
    flat = [(method, record) for method, group in groups.items() for record in group]
    ax.set_ylabel(axis_label(quantity, (record for _, record in flat)))
    for method, record in flat:
        with drawing_of(ax, method):
            _line(ax, record, quantity, style_of(method), alone=len(flat) == 1)
    if not any(np.isfinite(getattr(record, quantity)).any() for _, record in flat):
        empty(ax, "not computed for this task")


def _line(ax: Axes, record: PathRecord, quantity: str, style: MethodStyle, alone: bool) -> None:
    ax.plot(record.t, shown(quantity, getattr(record, quantity)), color=style.colour)
    if quantity == "loss":
        for line in (record.straight_loss, record.unmatched_loss):
            if line is not None:
                ax.plot(record.t, line, "-.", color=style.colour, linewidth=0.8, alpha=0.6)
    if record.other is not None:
        values = shown(quantity, getattr(record.other, quantity))
        ax.plot(record.t, values, "--", color=style.colour, linewidth=1.0)
    if quantity == "loss":
        _barrier(ax, record, style, alone)


def _barrier(ax: Axes, record: PathRecord, style: MethodStyle, alone: bool) -> None:
    """The chord between the ends, and the highest point above it: bars of several would overlap."""
    chord = (1 - record.t) * record.loss[0] + record.t * record.loss[-1]
    ax.plot(record.t, chord, ":", color=GREY, linewidth=0.9)
    if np.isfinite(record.barrier) and record.barrier > 0:
        at = int(np.argmax(record.loss - chord))
        ends = [chord[at], record.loss[at]] if alone else [record.loss[at]]
        marker = "none" if alone else style.marker
        ax.plot([record.t[at]] * len(ends), ends, color=style.colour, linewidth=0.8, marker=marker)


def _named(end: str) -> str:
    """ "SGD, seed 1" of "sgd, seed 1"; another name as it stands."""
    method, comma, rest = end.partition(",")
    return style_of(method).label + comma + rest if comma else end


def _caption(groups: dict[str, list[PathRecord]]) -> str:
    flat = [record for group in groups.values() for record in group]
    heights = [
        f"{style_of(m).label * (len(groups) > 1)} {', '.join(rounded(r.barrier) for r in group)}"
        for m, group in groups.items()
    ]
    said = "; ".join(height.strip() for height in heights)
    parts = [f"barrier over the dotted chord: {said}", conditions(flat)]
    if any(record.straight_loss is not None for record in flat):
        straight = ", ".join(rounded(r.straight_barrier) for r in flat)
        parts.insert(1, f"a trained curve; dash-dotted: the straight line, barrier {straight}")
    if any(record.matched for record in flat):
        before = ", ".join(rounded(r.unmatched_barrier) for r in flat if r.matched)
        parts.insert(1, f"neurons matched; dash-dotted: before, barrier {before}")
    beside = [record.other for record in flat if record.other is not None]
    if beside:
        parts.append(f"dashed: {conditions(beside)}")
    if any(record.stale for record in flat):
        parts.append("batch norm keeps the statistics of the first end: no barrier of two networks")
    return " · ".join(filter(None, parts))
