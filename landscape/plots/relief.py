"""The loss on a plane through each minimum as a height, for paper; `scene` is to turn around."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from landscape.plots.drawing import annotations
from landscape.plots.drawing.levels import Levels, shared_levels
from landscape.plots.drawing.prepare import ByMethod, axis_label, shown
from landscape.plots.drawing.style import (
    COLOUR_MAP,
    ONE_COLUMN,
    TWO_COLUMNS,
    fitting,
    sheet,
    styled,
    text,
)
from landscape.plots.surface import caption, check_quantity, columns_of, panels_of
from landscape.records import SurfaceRecord
from landscape.records.scores import score_name, worded

VIEW = {"elev": 24, "azim": -52}  # degrees


@styled
def relief(
    records: ByMethod[SurfaceRecord],
    quantity: str = "loss",
    ax: Axes | Sequence[Axes] | None = None,
    *,
    other: bool = False,
) -> Figure:
    """Draw one 3-D panel per method, of its first record; the dot marks the trained weights.

    Heights and colours as in `surface`, cut above the shared scale; not-finite values are holes.
    quantity: "loss" or "accuracy". ax: axes with projection="3d". other: as for `surface`.

    Raises ValueError as `surface` does, and for axes that are not 3-D.
    """
    check_quantity(quantity)
    panels = panels_of(records, other)
    drawn = [record for _, record in panels]
    levels = shared_levels(drawn, quantity)
    columns = columns_of(len(panels), other)
    columns, width = fitting(columns, TWO_COLUMNS if columns > 1 else ONE_COLUMN * 1.35)
    height = width / columns
    letters = 6.5 if width / columns > 2.5 else 5.5
    page = sheet(
        ax, len(panels), columns=columns, width=width, height=0.82 * height, projection="3d"
    )
    if any(panel.name != "3d" for panel in page.axes):
        raise ValueError('`ax` must be made with projection="3d".')
    untitled = f"{worded(quantity, score_name(drawn))} around the minimum"
    for panel, (title, record) in zip(page.axes, panels, strict=True):
        _height(panel, record, quantity, levels, letters)
        panel.set_title(text(title) or untitled, y=0.98)
    page.foot([], caption(drawn, quantity, mark="●"))
    return page.figure


def _height(ax: Any, record: SurfaceRecord, quantity: str, levels: Levels, letters: float) -> None:
    """ax: 3-D axes. letters: size of the axes' names, in points."""
    low, high = (float(levels.height(v)) for v in levels.values[[0, -1]])
    z = levels.height(np.asarray(shown(quantity, getattr(record, quantity)), dtype=float).T)
    z = np.clip(z, low, high)
    x, y = (np.asarray(axis, dtype=float) for axis in (record.x, record.y))
    drawn = ax.plot_surface(
        *np.meshgrid(x, y), z, cmap=COLOUR_MAP + ("_r" if quantity == "accuracy" else ""),
        vmin=low, vmax=high, rcount=len(y), ccount=len(x), linewidth=0, rasterized=True,
    )  # fmt: skip
    drawn.set_edgecolor("face")  # no white seams
    at = annotations.position(record)
    middle = z[np.abs(y - at[1]).argmin(), np.abs(x - at[0]).argmin()]
    ax.plot(*at, middle, "o", color=annotations.CROSS, markersize=4, zorder=10)
    ticks = levels.values[:: max(1, len(levels.values) // 5)]
    ax.set_zticks(levels.height(ticks), [levels.name(value) for value in ticks])
    ax.set_zlim(low, high)
    across, up = annotations.axis_names([record])
    ax.set(xlabel=across, ylabel=up)
    ax.set_zlabel(axis_label(quantity, [record]) + (", logarithmic" if levels.log else ""))
    for axis in (ax.xaxis, ax.yaxis, ax.zaxis):
        axis.set_pane_color((1.0, 1.0, 1.0, 0.0))
        axis.label.set_size(letters)
        axis.set_tick_params(pad=-1, labelsize=letters - 0.5)
        axis.labelpad = -2 if axis is ax.zaxis else -5
    ax.locator_params(axis="x", nbins=4)
    ax.locator_params(axis="y", nbins=4)
    ax.view_init(**VIEW)
    ax.set_box_aspect((1, 1, 0.75), zoom=0.9)
