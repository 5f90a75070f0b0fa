"""Noise robustness: what noise on the weights does to accuracy and loss."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from landscape.plots.drawing.bands import QUANTITIES, banded, fitted, labelled, same_axis
from landscape.plots.drawing.multiples import curves_page
from landscape.plots.drawing.prepare import ByMethod, conditions, counts, grouped, shown
from landscape.plots.drawing.style import styled
from landscape.records import Array, NoiseRecord

LABEL = 0.33  # inches of a level's label
UNITS = {
    "max": "in units of the layer's largest |weight|",
    "rms": "in units of the layer's root mean square",
    "filter": "in units of the filter's root mean square",
    "elementwise": "in units of each |weight|",
    "absolute": "absolute",
}


@styled
def noise(
    records: ByMethod[NoiseRecord],
    quantities: Sequence[str] = QUANTITIES,
    ax: Axes | Sequence[Axes] | None = None,
    *,
    other: bool = False,
    baseline: str = "",
) -> Figure:
    """Mean and 95 % t interval at each level; the levels are spaced as √σ, so that 0 is there.

    One minimum per method: the band is over draws of the noise. Several: over the minima, each
    counted with its mean over draws (a method with one minimum then has no
    band). A level with a draw that is not finite has no mean: a gap.
    More than three methods on a figure of its own: small multiples, the baseline (default sgd, or
    the first) in grey.
    other: beside each panel one for the other data that the records hold, on the same y axis.

    Raises ValueError where the records of one method have different levels, and for `other` where
    one holds no other data.
    """
    groups = grouped(records, NoiseRecord)
    sides = [groups, _others(groups)] if other else [groups]
    asked = [(quantity, side) for quantity in quantities for side in sides]
    flat = [record for side in sides for group in side.values() for record in group]
    where = conditions(flat)
    page = curves_page(
        groups, len(asked), lambda panel, i: _panel(panel, asked[i][1], asked[i][0]),
        _band(groups) + (f" · {where}" if where else ""), ax=ax, baseline=baseline, overlaid=other,
    )  # fmt: skip
    if other:
        for first, second in zip(page.axes[::2], page.axes[1::2], strict=True):
            _on_one_scale(first, second)
    return page.figure


def _on_one_scale(first: Axes, second: Axes) -> None:
    if "log" in (first.get_yscale(), second.get_yscale()):
        first.set_yscale("log")
        second.set_yscale("log")
    ends = first.get_ylim(), second.get_ylim()
    for panel in (first, second):
        panel.set_ylim(min(low for low, _ in ends), max(high for _, high in ends))


def _others(groups: dict[str, list[NoiseRecord]]) -> dict[str, list[NoiseRecord]]:
    others = {m: [r.other for r in records if r.other] for m, records in groups.items()}
    if any(len(others[m]) < len(records) for m, records in groups.items()):
        raise ValueError(
            "`other` needs records with other data. "
            "Measure them: NoiseRobustness()(objective, other=...)."
        )
    return others


def _band(groups: dict[str, list[NoiseRecord]]) -> str:
    seeds = [len(group) for group in groups.values()]
    draws = counts([r.loss.shape[1] for group in groups.values() for r in group], "draw")
    if max(seeds) == 1:
        return f"band: 95 % t interval over {draws}, one minimum per method"
    return f"band: 95 % t interval over {counts(seeds, 'seed')}, {draws} each"


def _panel(ax: Axes, groups: dict[str, list[NoiseRecord]], quantity: str) -> None:
    flat = [record for group in groups.values() for record in group]
    ax.set_xlabel(level_label(flat))
    labelled(ax, quantity, flat)
    means = []
    over_draws = max(len(group) for group in groups.values()) == 1
    for method, group in groups.items():
        sigma = same_axis(method, group, lambda record: record.sigma)
        values = [shown(quantity, getattr(record, quantity)) for record in group]  # (s, draws)
        samples = values[0].T if over_draws else np.stack([v.mean(axis=1) for v in values])
        means.append(banded(ax, method, sigma, samples))
    if fitted(ax, quantity, means):
        level_axis(ax, np.unique(np.concatenate([record.sigma for record in flat])))


def level_label(records: Sequence[NoiseRecord]) -> str:
    """Name of the axis of noise levels, with their unit."""
    scales = sorted({record.scale for record in records})
    unit = UNITS.get(scales[0], scales[0]) if len(scales) == 1 else " / ".join(scales)
    return f"noise σ, {unit}"


def level_axis(ax: Axes, sigma: Array) -> None:
    """Space the levels as √σ and label those that have the room."""
    ax.set_xscale("function", functions=(_root, _square))
    top = float(sigma.max()) or 1.0
    ax.set_xlim(-0.0006 * top, 1.06 * top)
    apart = max(0.11, LABEL / (ax.bbox.width / ax.figure.dpi))
    kept: list[float] = []
    for level in sigma[::-1]:  # from the largest: drop a label that would touch its neighbour
        if not kept or _root(kept[-1]) - _root(level) > apart * _root(sigma.max()):
            kept.append(float(level))
    ax.set_xticks(kept, [f"{level:g}" for level in kept])
    ax.set_xticks([], minor=True)


def _root(x: Any) -> Any:
    return np.sign(x) * np.sqrt(np.abs(x))


def _square(x: Any) -> Any:
    return x * np.abs(x)
