"""Sharpness over the radius: how much the loss of a batch was seen to rise, a lower bound."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from landscape.plots.drawing.bands import fitted, same_axis
from landscape.plots.drawing.multiples import curves_page
from landscape.plots.drawing.prepare import ByMethod, conditions, counts, grouped, t_band
from landscape.plots.drawing.style import drawing_of, style_of, styled
from landscape.records import Array, SharpnessRecord
from landscape.records.flatness import mean_and_stderr
from landscape.statistics.intervals import t_quantile

UNITS = {"sam": "‖e‖ ≤ ρ", "asam": "‖e/T‖ ≤ ρ, T = |w| + η"}
PANELS = {"rise": "rise of the loss, lower bound", "level": "highest loss found"}


@styled
def sharpness(
    records: ByMethod[SharpnessRecord],
    ax: Axes | Sequence[Axes] | None = None,
    *,
    baseline: str = "",
) -> Figure:
    """Two panels over the radius: the rise S_ρ, and the level that it leads to, L + S_ρ.

    One minimum per method: the band is the 95 % t interval over batches. Several: over the minima.
    Dashed: the rise after the one step of training.
    Raises ValueError where the records of one method have different radii.
    """
    groups = grouped(records, SharpnessRecord)
    flat = [record for group in groups.values() for record in group]
    rules = " / ".join(sorted({UNITS.get(record.rule, record.rule) for record in flat}))
    radii = np.unique(np.concatenate([record.radii for record in flat]))

    def draw(panel: Axes, i: int) -> None:
        quantity, label = list(PANELS.items())[i]
        panel.set(xlabel=f"radius, {rules}", ylabel=label, xscale="log")
        means = []
        for method, group in groups.items():
            with drawing_of(panel, method):
                means.append(_method(panel, method, group, quantity))
        if fitted(panel, quantity, means):
            panel.set_xticks(radii, [f"{radius:g}" for radius in radii])
            panel.set_xticks([], minor=True)

    parts = [_band(groups), "dashed: after one step", conditions(flat)]
    words = " · ".join(filter(None, parts))
    return curves_page(groups, len(PANELS), draw, words, ax=ax, baseline=baseline).figure


def _method(ax: Axes, method: str, group: list[SharpnessRecord], quantity: str) -> Array:
    radii, style = same_axis(method, group, lambda record: record.radii), style_of(method)
    mean, low, high = _interval(group, quantity)
    ax.plot(radii, mean, color=style.colour, marker=style.marker)
    ax.fill_between(radii, low, high, color=style.colour, alpha=0.15, linewidth=0)
    if quantity == "rise":
        step = np.mean([mean_and_stderr(r.one_step, r.share)[0] for r in group], axis=0)
        ax.plot(radii, step, color=style.colour, linewidth=0.8, linestyle="--")
    return mean


def _interval(group: list[SharpnessRecord], quantity: str) -> tuple[Array, Array, Array]:
    """Mean, and its interval over minima; of one minimum over batches."""
    values = [r.sharpness + (r.loss if quantity == "level" else 0.0) for r in group]
    each = [mean_and_stderr(v, r.share) for v, r in zip(values, group, strict=True)]
    if len(group) > 1:
        return t_band(np.stack([mean for mean, _ in each]))
    mean, stderr = each[0]
    half = t_quantile(max(len(group[0].share), 2)) * stderr
    return mean, mean - half, mean + half


def _band(groups: dict[str, list[SharpnessRecord]]) -> str:
    seeds = [len(group) for group in groups.values()]
    flat = [record for group in groups.values() for record in group]
    batches = counts([len(r.share) for r in flat], "batch").replace("batchs", "batches")
    sizes = counts([round(float(r.share.max())) for r in flat], "example")
    if max(seeds) == 1:
        return f"{batches} of up to {sizes}, band: 95 % t interval over them"
    over = f"band: 95 % t interval over {counts(seeds, 'seed')}"
    return f"{over}, {batches} of up to {sizes} each"
