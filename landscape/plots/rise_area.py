"""Area inside a rise of the loss around each minimum: one panel per method, with its number."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from landscape.plots.drawing import rise_panel
from landscape.plots.drawing.prepare import ByMethod, conditions, counts, grouped
from landscape.plots.drawing.style import (
    GREY,
    ONE_COLUMN,
    TWO_COLUMNS,
    fitting,
    sheet,
    style_of,
    styled,
    text,
)
from landscape.records import RiseAreaRecord

MOST = 5  # panels in a row


@styled
def rise_area(
    records: ByMethod[RiseAreaRecord],
    ax: Axes | Sequence[Axes] | None = None,
    *,
    baseline: str = "sgd",
) -> Figure:
    """Draw one panel per method: L − L(w) in the plane of its two largest eigenvalues.

    Bands, axes and the contour of the rise (red) are the same for all; dashed: the baseline's
    contour. The panel shows the first record of a method, the number is the mean area of all.

    Raises ValueError for records that were measured at different rises.
    """
    groups = grouped(records, RiseAreaRecord)
    firsts = rise_panel.first_records(groups)
    rise = rise_panel.rise_of([r for found in groups.values() for r in found])
    half = rise_panel.half_width(list(firsts.values()))
    columns = min(len(groups), MOST)
    columns, width = fitting(columns, TWO_COLUMNS if columns > 2 else ONE_COLUMN, most=3)
    side = width / columns - 0.05  # inches
    page = sheet(ax, len(groups), columns=columns, width=width, height=side + 0.18, extra=0.85)
    for panel, (method, record) in zip(page.axes, firsts.items(), strict=True):
        base = firsts.get(baseline) if method != baseline else None
        rise_panel.draw(panel, record, base, half, width=min(2.4, 1.7 * side))
        _head(panel, method, rise_panel.mean_area(groups[method]), side)
    if page.own:
        _colour_bar(page.figure, page.axes, rise)
    page.foot([], _small_print(groups, rise, baseline))
    return page.figure


def _head(ax: Axes, method: str, area: float, side: float) -> None:
    """The method's name on the left, its area on the right, in letters that fit side by side."""
    name = style_of(method).label if method else ""
    size = min(8.0, 6.0 * side * min(1.0, 13 / max(len(name), 1)))
    number = f"{area:#.3g}" if np.isfinite(area) else "–"
    ax.set_title(text(name), loc="left", fontweight="bold", fontsize=size, pad=3)
    ax.set_title(number, loc="right", fontsize=size, pad=3)


def _colour_bar(figure: Figure, axes: Sequence[Axes], rise: float) -> None:
    mappable = ScalarMappable(rise_panel.norm_of(rise), rise_panel.MAP)
    bar = figure.colorbar(
        mappable, ax=list(axes), location="bottom", aspect=70, pad=0.02,
        spacing="uniform", ticks=rise_panel.BANDS * rise,
    )  # fmt: skip
    bar.ax.set_xticklabels([f"{level:g}" for level in rise_panel.BANDS * rise])
    bar.ax.tick_params(length=0, labelsize=6.5)
    bar.outline.set_visible(False)
    bar.set_label("rise of the loss above the trained weights (+)", color=GREY, fontsize=7)


def _small_print(groups: dict[str, list[RiseAreaRecord]], rise: float, baseline: str) -> str:
    flat = [record for found in groups.values() for record in found]
    dashed = f"; dashed: {style_of(baseline).label}’s" * (baseline in groups and len(groups) > 1)
    seeds = [len(found) for found in groups.values()]
    number = f"number: area inside, mean of {counts(seeds, 'seed')}"
    parts = [
        f"red: {rise:g} above the loss at the trained weights{dashed}",
        number if max(seeds) > 1 else "number: area inside",
        "plane of the two largest eigenvalues, Euclidean lengths",
        conditions(flat),
    ]
    parts.append(rise_panel.without_area(flat))
    return " · ".join(filter(None, parts))
