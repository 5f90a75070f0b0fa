"""Contours of the loss on a plane through each minimum, all on the same axes and colours."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from landscape.plots.levels import Levels, rounded, shared_levels
from landscape.plots.prepare import ByMethod, conditions, grouped
from landscape.plots.style import (
    COLOUR_MAP,
    GRID,
    ONE_COLUMN,
    TWO_COLUMNS,
    WHITE,
    Sheet,
    look,
    sheet,
    styled,
    text,
)
from landscape.records import SurfaceRecord

UNITS = {"random": "filter norms"}


@styled
def surface(records: ByMethod[SurfaceRecord], ax: Axes | Sequence[Axes] | None = None) -> Figure:
    """One panel per method, of its first record; the cross marks the trained weights.

    Shared levels, logarithmic where all losses are positive. Hatched: the loss is not finite.
    Raises ValueError where no loss is finite.
    """
    groups = {method: found[0] for method, found in grouped(records, SurfaceRecord).items()}
    levels = shared_levels(list(groups.values()))
    columns = _columns(len(groups))
    width = TWO_COLUMNS if columns > 1 else ONE_COLUMN * 1.35
    page = sheet(
        ax, len(groups), columns=columns, width=width, height=0.83 * width / columns, extra=0.4,
        sharex=True, sharey=True,
    )  # fmt: skip
    for panel, (method, record) in zip(page.axes, groups.items(), strict=True):
        _contours(panel, record, levels)
        panel.set_title(text(look(method).label) or "loss around the minimum")
    _axes(page, next(iter(groups.values())), columns)
    _colours(page, levels)
    page.foot([], _caption(list(groups.values())))
    return page.figure


def _columns(panels: int) -> int:
    return panels if panels <= 3 else 2 if panels == 4 else 3


def _contours(ax: Axes, record: SurfaceRecord, levels: Levels) -> None:
    x, y = np.asarray(record.x, dtype=float), np.asarray(record.y, dtype=float)
    z = np.ma.masked_invalid(np.asarray(record.loss, dtype=float)).T  # contour wants rows of y
    z = np.ma.maximum(z, levels.values[0])  # rounding below the lowest level is no hole
    ax.patch.set(facecolor=GRID, hatch="//////")
    if z.count():
        filled = ax.contourf(
            x, y, z, levels.values, norm=levels.norm, cmap=COLOUR_MAP, extend="max"
        )
        filled.set_rasterized(True)
        ax.contour(x, y, z, levels.values[1:-1], colors=WHITE, linewidths=0.35, alpha=0.6)
    ax.plot(0.0, 0.0, "+", color=WHITE, markersize=9, markeredgewidth=2.6)
    ax.plot(0.0, 0.0, "+", color="#CC3311", markersize=7.5, markeredgewidth=1.2)
    ax.set(xlim=(x.min(), x.max()), ylim=(y.min(), y.max()), aspect="equal")
    ax.grid(False)


def _axes(page: Sheet, record: SurfaceRecord, columns: int) -> None:
    unit = UNITS.get(record.directions, "its own length")
    last = len(page.axes) - columns
    for number, panel in enumerate(page.axes):
        if number % columns == 0 or not page.own:
            panel.set_ylabel(f"along d₂ ({unit})")
        if number >= last or not page.own:
            panel.set_xlabel(f"along d₁ ({unit})")
            panel.tick_params(labelbottom=True)


def _colours(page: Sheet, levels: Levels) -> None:
    mappable = ScalarMappable(levels.norm, COLOUR_MAP)
    bar = page.figure.colorbar(
        mappable, ax=page.axes, extend="max" if levels.clipped else "neither", aspect=30, pad=0.02
    )
    bar.set_label("loss" + (", logarithmic" if levels.log else ""))
    bar.outline.set_visible(False)
    bar.ax.yaxis.set_major_locator(FixedLocator(list(levels.values[::2])))
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: rounded(value)))
    bar.ax.grid(False)


def _widest(cosines: list[float]) -> float:
    return float(max(cosines, key=abs))


def _caption(records: list[SurfaceRecord]) -> str:
    directions = " / ".join(sorted({record.directions for record in records}))
    cosines = [record.cosine for record in records]
    words = f"+ trained weights · {directions} directions, cosine {_widest(cosines):.2f}"
    where = conditions(records)
    hatched = any(not np.isfinite(record.loss).all() for record in records)
    return words + (f" · {where}" if where else "") + (" · hatched: not finite" if hatched else "")
