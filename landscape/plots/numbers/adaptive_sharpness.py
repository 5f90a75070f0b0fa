"""Adaptive sharpness over the radius: the worst case found, and the average case."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from landscape.plots.drawing.bands import fitted, same_axis
from landscape.plots.drawing.multiples import curves_page
from landscape.plots.drawing.prepare import ByMethod, conditions, counts, grouped, t_band
from landscape.plots.drawing.style import drawing_of, style_of, styled
from landscape.records import AdaptiveSharpnessRecord, Array
from landscape.statistics.intervals import t_quantile

PANELS = ("worst case, lower bound", "average case")
BALLS = {"linf": "l∞", "l2": "l2"}


@styled
def adaptive_sharpness(
    records: ByMethod[AdaptiveSharpnessRecord],
    ax: Axes | Sequence[Axes] | None = None,
    *,
    baseline: str = "",
) -> Figure:
    """Rise of the loss over the radius: the highest found in a batch, and the mean under noise.

    One minimum per method: bands are 95 % t intervals over batches and over draws. Several: over
    the minima. Raises ValueError where the records of one method have different radii.
    """
    groups = grouped(records, AdaptiveSharpnessRecord)
    flat = [record for group in groups.values() for record in group]
    balls = " / ".join(sorted({BALLS.get(r.norm, r.norm) for r in flat}))
    adaptive = all(r.settings.get("adaptive", True) for r in flat)

    def draw(panel: Axes, i: int) -> None:
        panel.set(
            xlabel=f"radius, {balls}{' of δ/|w|' if adaptive else ' of δ'}",
            ylabel=f"rise of the loss, {PANELS[i]}",
            xscale="log",
        )
        means = [_method(panel, method, group, i) for method, group in groups.items()]
        if fitted(panel, "rise", means):
            radii = flat[0].average_radii if i else flat[0].radii
            panel.set_xticks(radii, [f"{radius:g}" for radius in radii], fontsize=6.5)
            panel.set_xticks([], minor=True)

    seeds = [len(group) for group in groups.values()]
    over = "batches and draws" if max(seeds) == 1 else counts(seeds, "seed")
    logits = sorted({f"logits: {r.logits}" for r in flat if r.logits != "plain"})
    words = " · ".join([f"band: 95 % t interval over {over}", *logits, conditions(flat)])
    return curves_page(groups, len(PANELS), draw, words, ax=ax, baseline=baseline).figure


def _method(ax: Axes, method: str, group: list[AdaptiveSharpnessRecord], panel: int) -> Array:
    radii = same_axis(method, group, lambda r: r.average_radii if panel else r.radii)
    mean, low, high = _interval(group, panel)
    style = style_of(method)
    with drawing_of(ax, method):
        ax.plot(radii, mean, color=style.colour, marker=style.marker)
        ax.fill_between(radii, low, high, color=style.colour, alpha=0.15, linewidth=0)
    return mean


def _interval(group: list[AdaptiveSharpnessRecord], panel: int) -> tuple[Array, Array, Array]:
    """Mean and interval over minima; of one minimum over its batches or draws."""
    if len(group) > 1:
        return t_band(np.stack([r.average.mean(axis=1) if panel else r.mean for r in group]))
    (record,) = group
    if panel:
        return t_band(record.average.T)
    half = t_quantile(max(len(record.share), 2)) * record.stderr
    return record.mean, record.mean - half, record.mean + half
