"""Scatter of the networks of a grid: measures against a target, coloured by one setting."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from landscape.plots.drawing.prepare import scale
from landscape.plots.drawing.style import (
    COLOUR_MAP,
    HIGHER,
    LOWER,
    NOT_SHOWN,
    TWO_COLUMNS,
    even_columns,
    fitting,
    sheet,
    styled,
    text,
)
from landscape.statistics.network_table import SHARPNESS, TARGET, NetworkTable, quantity

MARKERS = "o^sDvP*X<>"
MOST = 4  # panels
FEW = {1: [LOWER], 2: [LOWER, HIGHER], 3: [LOWER, NOT_SHOWN, HIGHER]}
CHOSEN = ("lambda_max", "kappa", SHARPNESS, "forgetting_bound", "distance")


@styled
def networks(
    table: NetworkTable,
    axis: str = "",
    target: str = "",
    measures: Sequence[str] | None = None,
    ax: Axes | Sequence[Axes] | None = None,
) -> Figure:
    """Draw a point per network that met the level, a panel per measure.

    axis: the setting that colours them; target: of the table; default the first of each. measures:
    default four.
    Raises ValueError for an axis or a number that the table does not hold.
    """
    table = table.among_reached()
    axis = axis or next(iter(table.settings))
    if axis not in table.settings:
        raise ValueError(f"`axis` must be one of {', '.join(table.settings)}. Got {axis!r}.")
    target = target or table.named(TARGET)[0]
    chosen = list(measures or default_measures(table))
    for name in (target, *chosen):
        if name not in table.numbers:
            raise ValueError(f"`measures` must be among {', '.join(table.numbers)}. Got {name!r}.")
    columns, width = fitting(even_columns(len(chosen)), TWO_COLUMNS, most=2)
    page = sheet(ax, len(chosen), columns=columns, width=width, height=2.1, extra=0.5)
    values = list(dict.fromkeys(table.settings[axis]))
    colours = FEW.get(len(values)) or [
        to_hex(colormaps[COLOUR_MAP](share)) for share in np.linspace(0, 0.85, len(values))
    ]
    looks = [
        (value, colour, MARKERS[i % len(MARKERS)])
        for i, (value, colour) in enumerate(zip(values, colours, strict=True))
    ]
    for number, (panel, measure) in enumerate(zip(page.axes, chosen, strict=True)):
        for value, colour, marker in looks:
            mine = np.array([v == value for v in table.settings[axis]])
            panel.plot(
                table.numbers[measure][mine], table.numbers[target][mine], marker, color=colour,
                markersize=3.2, alpha=0.8, markeredgewidth=0,
            )  # fmt: skip
        panel.set_xscale(scale(table.numbers[measure]))
        panel.set_xlabel(text(quantity(measure).label.removeprefix("reversed ")))
        if number % columns == 0:
            panel.set_ylabel(quantity(target).label)
    handles = [Line2D([], [], color=c, marker=m, linestyle="none", label=text(v))
               for v, c, m in looks]  # fmt: skip
    page.figure.legend(
        handles=handles, loc="outside lower center", ncols=len(handles), fontsize=7,
        title=f"one point per network, {len(table.states)} of them · colour: {text(axis)}",
        title_fontsize=7,
    )  # fmt: skip
    return page.figure


def default_measures(table: NetworkTable) -> list[str]:
    """Four measures of the table, sharpness at its middle radius among them."""
    radii = [name for name in table.numbers if name.startswith(SHARPNESS)]
    wanted = [radii[len(radii) // 2] if name == SHARPNESS and radii else name for name in CHOSEN]
    return [name for name in wanted if name in table.numbers][:MOST]
