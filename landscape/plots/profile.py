"""The loss along lines through each minimum, with the spread over directions."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from landscape.plots.drawing.prepare import (
    ByMethod,
    axis_label,
    conditions,
    counts,
    grouped,
    scale,
    shown,
)
from landscape.plots.drawing.style import drawing_of, empty, sheet, style_of, styled
from landscape.records import ProfileRecord

UNITS = {"random": "in filter norms", "eigenvectors": "in weight space, along eigenvectors"}


@styled
def profile(
    records: ByMethod[ProfileRecord],
    quantities: Sequence[str] = ("loss", "accuracy"),
    ax: Axes | Sequence[Axes] | None = None,
) -> Figure:
    """The mean over directions at each distance, in a band from the lowest to the highest; dashed:
    the mean on the other data set that was walked over.

    The band is the spread over directions, of all minima of a method, not an interval of the mean.
    Raises ValueError where the records have different distances or kinds of directions.
    """
    groups = grouped(records, ProfileRecord)
    flat = [record for group in groups.values() for record in group]
    kinds = sorted({record.directions for record in flat})
    if len(kinds) > 1 or any(not np.array_equal(r.x, flat[0].x) for r in flat):
        raise ValueError(
            "Profiles in one figure need the same distances and directions of one kind. Got "
            f"{' and '.join(kinds)}, up to {' and '.join(sorted({f'{r.x[-1]:g}' for r in flat}))}."
        )
    page = sheet(ax, len(quantities), columns=min(2, len(quantities)), extra=0.6)
    for panel, quantity in zip(page.axes, quantities, strict=True):
        _panel(panel, groups, quantity)
        panel.set_xlabel(f"distance {UNITS[kinds[0]]}")
    page.foot(groups, _caption(flat), mark=False)
    return page.figure


def _panel(ax: Axes, groups: dict[str, list[ProfileRecord]], quantity: str) -> None:
    ax.set_ylabel(axis_label(quantity, (r for group in groups.values() for r in group)))
    drawn = []
    for method, group in groups.items():
        colour, x = style_of(method).colour, group[0].x
        values = np.concatenate([shown(quantity, getattr(r, quantity)) for r in group])
        values = np.where(np.isfinite(values), values, np.nan)
        others = [shown(quantity, getattr(r.other, quantity)) for r in group if r.other]
        with drawing_of(ax, method):
            ax.plot(x, values.mean(0), color=colour)
            ax.fill_between(x, values.min(0), values.max(0), color=colour, alpha=0.15, linewidth=0)
            if others:
                ax.plot(x, np.concatenate(others).mean(0), "--", color=colour, linewidth=1.0)
        drawn.append(values)
    every = np.concatenate(drawn)
    if not np.isfinite(every).any():
        empty(ax, "not computed for this task")
    elif quantity == "loss":
        ax.set_yscale(scale(every))


def _caption(records: list[ProfileRecord]) -> str:
    lines = counts([len(record.loss) for record in records], "direction")
    parts = [f"line: mean over {lines}, band: lowest to highest"]
    beside = [record.other for record in records if record.other is not None]
    if beside:
        parts.append(f"dashed: {conditions(beside)}")
    errors = [r.relative_stderr for r in records if np.isfinite(r.relative_stderr)]
    if errors:
        parts.append(f"standard error of the loss at w from these examples: {max(errors):.0%}")
    return " · ".join(filter(None, [parts[0], conditions(records), *parts[1:]]))
