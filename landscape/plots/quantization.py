"""Quantisation: what is left of accuracy and loss with weights of few bits."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from landscape.plots.drawing.bands import QUANTITIES, fitted, labelled, over_minima
from landscape.plots.drawing.prepare import ByMethod, conditions, grouped, shown, t_band
from landscape.plots.drawing.style import drawing_of, sheet, style_of, styled
from landscape.records import Array, QuantizationRecord

MILD_FIRST = {"channel": 0, "tensor": 1}
MOST_UPRIGHT = 4  # more labels than these and one would touch the next
Setting = tuple[int, str]  # bits, granularity


@styled
def quantization(
    records: ByMethod[QuantizationRecord],
    quantities: Sequence[str] = QUANTITIES,
    ax: Axes | Sequence[Axes] | None = None,
) -> Figure:
    """Each quantity as trained and for every setting, the mildest first.

    Dots are means over minima, bars their 95 % t intervals, lines a help for the eye.
    """
    groups = grouped(records, QuantizationRecord)
    flat = [record for group in groups.values() for record in group]
    settings = sorted({s for record in flat for s in _settings(record)}, key=_harshness)
    page = sheet(ax, len(quantities), columns=min(2, len(quantities)), extra=0.6)
    for panel, quantity in zip(page.axes, quantities, strict=True):
        labelled(panel, quantity, flat)
        means = []
        for i, (method, group) in enumerate(groups.items()):
            place = (i - (len(groups) - 1) / 2) * min(0.12, 0.7 / len(groups))
            x = np.arange(len(settings) + 1) + place
            values = np.stack([shown(quantity, _row(r, quantity, settings)) for r in group])
            means.append(_dots(panel, method, x, values))
        if fitted(panel, quantity, means):
            _named(panel, settings)
    where = conditions(flat)
    band = over_minima(groups).replace("band", "bar")
    page.foot(groups, band + (f" · {where}" if where else ""))
    return page.figure


def _named(ax: Axes, settings: Sequence[Setting]) -> None:
    many = len(settings) > MOST_UPRIGHT
    gap = " " if many else "\n"
    names = [f"int{bits}{gap}{granularity}" for bits, granularity in settings]
    ax.set_xticks(range(len(names) + 1), [f"as{gap}trained", *names])
    if many:
        for label in ax.get_xticklabels():
            label.set(rotation=40, ha="right", rotation_mode="anchor")
    ax.set_xlabel("weights rounded to, with one scale for each")
    ax.grid(False, axis="x")


def _settings(record: QuantizationRecord) -> list[Setting]:
    return [(int(bits), name) for bits in record.bits for name in record.granularity]


def _harshness(setting: Setting) -> tuple[int, int]:
    bits, granularity = setting
    return -bits, MILD_FIRST.get(granularity, len(MILD_FIRST))


def _row(record: QuantizationRecord, quantity: str, settings: Sequence[Setting]) -> Array:
    """Values as trained, then by setting, (1 + s,); NaN for a setting that the record lacks."""
    values = dict(zip(_settings(record), getattr(record, quantity).ravel(), strict=True))
    clean = record.clean_loss if quantity == "loss" else record.clean_accuracy
    return np.array([clean, *(values.get(setting, np.nan) for setting in settings)])


def _dots(ax: Axes, method: str, x: Array, samples: Array) -> Array:
    mean, low, high = t_band(samples)
    style = style_of(method)
    with drawing_of(ax, method):
        ax.plot(x, mean, color=style.colour, marker=style.marker, linewidth=0.7, alpha=0.9)
        ax.vlines(x, low, high, color=style.colour, linewidth=1.2)
    return mean
