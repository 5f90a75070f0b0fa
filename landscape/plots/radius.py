"""The radius that LETS learned, and how often the two gradients that move it disagreed."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from landscape.plots.drawing.prepare import ByMethod, counts, grouped, t_band
from landscape.plots.drawing.style import drawing_of, sheet, style_of, styled
from landscape.records import RadiusRecord

PANELS = {"radius": "radius ρ", "negative": "share of steps with ⟨δ, dθ⁺/dρ⟩ < 0"}


@styled
def radius(records: ByMethod[RadiusRecord], ax: Axes | Sequence[Axes] | None = None) -> Figure:
    """Two panels: ρ over the epochs, logarithmic, and the sign statistic, balanced at one half.

    One line per method, the mean over seeds with its 95 % t interval; epochs that not all seeds
    reached are left out.
    """
    groups = grouped(records, RadiusRecord)
    page = sheet(ax, len(PANELS), columns=len(PANELS), extra=0.5)
    for panel, (quantity, label) in zip(page.axes, PANELS.items(), strict=True):
        panel.set(xlabel="epoch", ylabel=label)
        panel.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        for method, runs in groups.items():
            with drawing_of(panel, method):
                _method(panel, method, runs, quantity)
    page.axes[0].set_yscale("log")
    page.axes[0].yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    page.axes[0].yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    page.axes[0].yaxis.set_minor_formatter(NullFormatter())
    page.axes[1].axhline(0.5, color="0.6", linewidth=0.8, zorder=0)
    page.axes[1].set_ylim(0, 1)
    seeds = counts([len(runs) for runs in groups.values()], "seed")
    several = any(len(runs) > 1 for runs in groups.values())
    page.foot(
        groups, f"mean over {seeds}, band: 95 % t interval" if several else f"{seeds}: no band"
    )
    return page.figure


def _method(ax: Axes, method: str, runs: list[RadiusRecord], quantity: str) -> None:
    style, length = style_of(method), min(len(run.epoch) for run in runs)
    x = np.asarray(runs[0].epoch[:length], dtype=float)
    mean, low, high = t_band(np.stack([getattr(run, quantity)[:length] for run in runs]))
    step = max(1, length // 8)
    ax.plot(x, mean, color=style.colour, marker=style.marker, markevery=step, markersize=3)
    if len(runs) > 1:
        floor = np.nanmin(mean) / 10 if quantity == "radius" and length else -np.inf
        ax.fill_between(
            x, np.maximum(low, floor), high, color=style.colour, alpha=0.15, linewidth=0
        )
