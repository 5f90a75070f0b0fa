"""Contours of the loss on a plane through each minimum, all on the same axes and colours."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from landscape.plots.drawing import annotations, merge_marks
from landscape.plots.drawing.levels import Levels, shared_levels
from landscape.plots.drawing.prepare import SPLITS, ByMethod, axis_label, conditions, grouped, shown
from landscape.plots.drawing.style import (
    COLOUR_MAP,
    GRID,
    ONE_COLUMN,
    TWO_COLUMNS,
    WHITE,
    Sheet,
    fitting,
    sheet,
    style_of,
    styled,
    text,
)
from landscape.records import Array, SurfaceRecord
from landscape.records.scores import score_name, worded

QUANTITIES = ("loss", "accuracy")
WIDE = 2.5  # inches of a panel, from which on its lines have room for their numbers
LOWEST = 1.1  # inches of a panel: its names and the numbers of the colour bar have room


@styled
def surface(
    records: ByMethod[SurfaceRecord],
    quantity: str = "loss",
    ax: Axes | Sequence[Axes] | None = None,
    *,
    other: bool = False,
    minima: bool = False,
) -> Figure:
    """Draw one panel per method, of its first record; the cross marks the trained weights.

    Shared axes and levels, logarithmic for losses that are positive. Hatched: not finite. Drawn
    over it: the way of the training, or all minima, where the plane was fitted to them.
    quantity: "loss" or "accuracy"; dark is good. other: beside each panel one for the other data
    that the record holds. minima: mark the minima and saddles of the loss on each plane, in grey
    those shallower than twice the standard error of the loss; of the loss alone.

    Raises ValueError where no value is finite, for records of different kinds of directions, whose
    units cannot be compared, and for `other` where a record holds no other data.
    """
    check_quantity(quantity)
    if minima and quantity != "loss":
        raise ValueError(f"`minima` are those of the loss. Got the {quantity}.")
    panels = panels_of(records, other)
    drawn = [record for _, record in panels]
    levels = shared_levels(drawn, quantity)
    left, right, bottom, top = _extent(drawn)
    steep = float(np.clip((top - bottom) / (right - left), 0.25, 1.0))
    columns = columns_of(len(panels), other, steep)
    width = TWO_COLUMNS if columns > 1 else ONE_COLUMN * 1.35
    columns, width = fitting(columns, width, most=2)
    height = max(LOWEST, 0.7 * steep * width / columns)
    page = sheet(
        ax, len(panels), columns=columns, width=width, height=height + 0.35,
        extra=0.4 if columns > 1 else 0.6, sharex=True, sharey=True,
    )  # fmt: skip
    colours = COLOUR_MAP + ("_r" if quantity == "accuracy" else "")  # dark is good
    for panel, (title, record) in zip(page.axes, panels, strict=True):
        values = shown(quantity, getattr(record, quantity))
        _contours(panel, record, values, levels, colours, named=width / columns > WIDE)
        if minima:
            merge_marks.mark(panel, record)
        panel.set_title(text(title) or f"{worded(quantity, score_name(drawn))} around the minimum")
    _axes(page, drawn, columns)
    label = axis_label(quantity, drawn) + (", logarithmic" if levels.log else "")
    _colour_bar(page, label, levels, colours, height * -(-len(panels) // columns))
    hatched = any(not np.isfinite(getattr(record, quantity)).all() for record in drawn)
    words = caption(drawn, quantity) + (" · hatched: not finite" if hatched else "")
    if minima:
        words += f" · {merge_marks.words(drawn)}"
    page.foot(annotations.methods(drawn), words, line=False)
    return page.figure


def check_quantity(quantity: str) -> None:
    """ValueError for what a surface does not hold."""
    if quantity not in QUANTITIES:
        raise ValueError(f"`quantity` must be loss or accuracy. Got {quantity!r}.")


def panels_of(records: ByMethod[SurfaceRecord], other: bool) -> list[tuple[str, SurfaceRecord]]:
    """Title and record of each panel."""
    groups = {method: group[0] for method, group in grouped(records, SurfaceRecord).items()}
    kinds = sorted({record.directions for record in groups.values()})
    if len(kinds) > 1:
        raise ValueError(
            f"Surfaces side by side need directions of one kind. Got {' and '.join(kinds)}: "
            "measure them again with the same directions."
        )
    if not other:
        return [(style_of(method).label, record) for method, record in groups.items()]
    panels = []
    for method, record in groups.items():
        if record.other is None:
            raise ValueError("`other` needs records of two data sets. Got one of a single one.")
        for side in (record, record.other):
            split = side.point.split if side.point else ""
            parts = [style_of(method).label, SPLITS.get(split, split)]
            panels.append((", ".join(part for part in parts if part), side))
    return panels


def columns_of(panels: int, paired: bool, steep: float = 1.0) -> int:
    """Number of columns of panels; steep: height of one over its width."""
    if steep < 0.6 and not paired:
        return 1 if panels <= 3 else 2
    if paired:
        return 2 if panels <= 8 else 4
    return panels if panels <= 3 else 2 if panels == 4 else 3


def _extent(records: Sequence[SurfaceRecord]) -> tuple[float, float, float, float]:
    """(left, right, bottom, top) that holds all of them."""
    x, y = (np.concatenate([getattr(r, name) for r in records]) for name in ("x", "y"))
    return float(x.min()), float(x.max()), float(y.min()), float(y.max())


def _contours(
    ax: Axes, record: SurfaceRecord, values: Array, levels: Levels, colours: str, *, named: bool
) -> None:
    """named: numbers on every other line."""
    x, y = np.asarray(record.x, dtype=float), np.asarray(record.y, dtype=float)
    z = np.ma.masked_invalid(np.asarray(values, dtype=float)).T  # contour wants rows of y
    z = np.ma.maximum(z, levels.values[0])  # rounding below the lowest level is no hole
    corner, size = (x.min(), y.min()), (np.ptp(x), np.ptp(y))
    ax.add_patch(Rectangle(corner, *size, facecolor=GRID, hatch="//////", linewidth=0, zorder=0))
    if z.count():
        filled = ax.contourf(x, y, z, levels.values, norm=levels.norm, cmap=colours, extend="max")
        filled.set_rasterized(True)
        lines = ax.contour(x, y, z, levels.values[1:-1], colors=WHITE, linewidths=0.35, alpha=0.6)
        if named:
            ax.clabel(lines, levels.values[2:-1:2], fmt=levels.name, fontsize=5.5, colors=WHITE)
    annotations.mark(ax, record)
    annotations.preview(ax, record)
    ax.grid(False)


def _axes(page: Sheet, records: Sequence[SurfaceRecord], columns: int) -> None:
    """The same limits for all panels; names on the outer ones."""
    left, right, bottom, top = _extent(records)
    wide = (right - left) / (top - bottom)
    last = len(page.axes) - columns
    across, up = annotations.axis_names(records)
    size = 6 if page.own and page.figure.get_figwidth() < 2 * columns else None
    for number, panel in enumerate(page.axes):
        panel.set(xlim=(left, right), ylim=(bottom, top))
        panel.set_aspect("equal" if 0.25 <= wide <= 4 else "auto")
        if number % columns == 0 or not page.own:
            panel.set_ylabel(up, fontsize=size)
        if number >= last or not page.own:
            panel.set_xlabel(across, fontsize=size)
            panel.tick_params(labelbottom=True)


def _colour_bar(page: Sheet, label: str, levels: Levels, colours: str, inches: float) -> None:
    """Named at every second of the contours, or at fewer where `inches` have no room for those."""
    every = max(2, math.ceil(0.16 * (len(levels.values) - 1) / inches))
    mappable = ScalarMappable(levels.norm, colours)
    bar = page.figure.colorbar(
        mappable, ax=page.axes, extend="max" if levels.clipped else "neither", aspect=30, pad=0.02
    )
    bar.set_label(label)
    bar.outline.set_visible(False)
    bar.ax.yaxis.set_major_locator(FixedLocator(list(levels.values[::every])))
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: levels.name(value)))
    bar.ax.grid(False)


def caption(records: Sequence[SurfaceRecord], quantity: str, mark: str = "+") -> str:
    """The small print; mark: what stands for the trained weights."""
    errors = [r.relative_stderr for r in records if np.isfinite(r.relative_stderr)]
    parts = [*annotations.words(records, mark), conditions(records)]
    if errors and quantity == "loss":
        parts.append(f"standard error of the loss at w from these examples: {max(errors):.0%}")
    return " · ".join(filter(None, parts))
