"""Noise robustness: what noise on the weights does to accuracy and loss."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from landscape.plots.prepare import (
    ByMethod,
    axis_label,
    conditions,
    counts,
    grouped,
    scale,
    shown,
    t_band,
)
from landscape.plots.style import empty, look, sheet, styled
from landscape.records import Array, NoiseRecord

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
    quantities: Sequence[str] = ("accuracy", "loss"),
    ax: Axes | Sequence[Axes] | None = None,
) -> Figure:
    """Mean and 95 % t interval at each level; the levels are spaced as √σ, so that 0 is there.

    One minimum per method: the band is over draws of the noise. Several: over the minima, each
    counted with its mean over draws (a method with one minimum then has no
    band). A level with a draw that is not finite has no mean: a gap.
    Raises ValueError where the records of one method have different levels.
    """
    groups = grouped(records, NoiseRecord)
    page = sheet(ax, len(quantities), columns=min(2, len(quantities)), extra=0.6)
    for panel, quantity in zip(page.axes, quantities, strict=True):
        _panel(panel, groups, quantity)
    flat = [record for found in groups.values() for record in found]
    where = conditions(flat)
    page.foot(groups, _band(groups) + (f" · {where}" if where else ""))
    return page.figure


def _band(groups: dict[str, list[NoiseRecord]]) -> str:
    seeds = [len(found) for found in groups.values()]
    draws = counts([r.loss.shape[1] for found in groups.values() for r in found], "draw")
    if max(seeds) == 1:
        return f"band: 95 % t interval over {draws}, one minimum per method"
    return f"band: 95 % t interval over {counts(seeds, 'seed')}, {draws} each"


def _panel(ax: Axes, groups: dict[str, list[NoiseRecord]], quantity: str) -> None:
    flat = [record for found in groups.values() for record in found]
    scales = sorted({record.scale for record in flat})
    unit = UNITS.get(scales[0], scales[0]) if len(scales) == 1 else " / ".join(scales)
    split = sorted({record.point.split for record in flat if record.point is not None})
    name = f"{split[0]} {quantity}" if split in (["test"], ["train"]) else quantity
    ax.set(xlabel=f"noise σ, {unit}", ylabel=axis_label(quantity).replace(quantity, name))
    means = []
    over_draws = max(len(found) for found in groups.values()) == 1
    for method, found in groups.items():
        mean, low, high = _band_of(method, found, quantity, over_draws)
        style, sigma = look(method), found[0].sigma
        ax.plot(sigma, mean, color=style.colour, marker=style.marker)
        ax.fill_between(sigma, low, high, color=style.colour, alpha=0.15, linewidth=0)
        means.append(mean)
    if not np.isfinite(np.concatenate(means)).any():
        empty(ax, "not computed for this task")
        return
    if quantity == "loss":
        ax.set_yscale(scale(np.concatenate(means)))
    _levels(ax, np.unique(np.concatenate([record.sigma for record in flat])))


def _band_of(
    method: str, found: list[NoiseRecord], quantity: str, over_draws: bool
) -> tuple[Array, Array, Array]:
    if any(not np.array_equal(record.sigma, found[0].sigma) for record in found):
        raise ValueError(f"`records` of {method or 'one method'} must share their noise levels.")
    values = [shown(quantity, getattr(record, quantity)) for record in found]  # (s, draws) each
    return t_band(values[0].T if over_draws else np.stack([v.mean(axis=1) for v in values]))


def _levels(ax: Axes, sigma: Array) -> None:
    ax.set_xscale("function", functions=(_root, _square))
    top = float(sigma.max()) or 1.0
    ax.set_xlim(-0.0006 * top, 1.06 * top)
    kept: list[float] = []
    for level in sigma[::-1]:  # from the largest: drop a label that would touch its neighbour
        if not kept or _root(kept[-1]) - _root(level) > 0.11 * _root(sigma.max()):
            kept.append(float(level))
    ax.set_xticks(kept, [f"{level:g}" for level in kept])
    ax.set_xticks([], minor=True)


def _root(x: Any) -> Any:
    return np.sign(x) * np.sqrt(np.abs(x))


def _square(x: Any) -> Any:
    return x * np.abs(x)
