"""A curve per method: the mean over samples with its 95 % t interval."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np
from matplotlib.axes import Axes

from landscape.plots.drawing.prepare import SPLITS, axis_label, counts, scale, shown, t_band
from landscape.plots.drawing.style import drawing_of, empty, style_of
from landscape.records import Array, Record
from landscape.records.scores import score_name, worded

QUANTITIES = ("accuracy", "loss")
T = TypeVar("T", bound=Record)


def banded(ax: Axes, method: str, x: Array, samples: Array) -> Array:
    """Draw the mean of samples (k, s) at x (s,) and its band; the mean (s,)."""
    mean, low, high = t_band(samples)
    style = style_of(method)
    with drawing_of(ax, method):
        ax.plot(x, mean, color=style.colour, marker=style.marker)
        ax.fill_between(x, low, high, color=style.colour, alpha=0.15, linewidth=0)
    return mean


def panel_of(
    ax: Axes,
    quantity: str,
    groups: Mapping[str, Sequence[T]],
    axis: Callable[[T], Array],
    values: Callable[[T, str], Array],
) -> None:
    """Draw a quantity of records by method: the mean over them and its band, at a common axis.

    Raises ValueError where the axes of one method's records differ.
    """
    labelled(ax, quantity, [record for records in groups.values() for record in records])
    means = []
    for method, records in groups.items():
        x = same_axis(method, records, axis)
        samples = np.stack([shown(quantity, values(record, quantity)) for record in records])
        means.append(banded(ax, method, x, samples))
    fitted(ax, quantity, means)


def labelled(ax: Axes, quantity: str, records: Sequence[Record]) -> None:
    """Name the quantity on the y axis, and the split where all records have the same one."""
    split = {record.point.split for record in records if record.point is not None}
    named = split in ({"test"}, {"train"})
    name = f"{SPLITS.get(*split, *split)} {quantity}" if named else quantity
    ax.set_ylabel(worded(axis_label(quantity).replace(quantity, name), score_name(records)))


def fitted(ax: Axes, quantity: str, means: Sequence[Array]) -> bool:
    """Scale the y axis for what was drawn; False, and a word, where nothing could be."""
    values = np.concatenate(means)
    if not np.isfinite(values).any():
        empty(ax, "not computed for this task")
        return False
    if quantity == "accuracy":  # an interval may reach beyond what an accuracy can be
        low, high = ax.get_ylim()
        ax.set_ylim(max(low, -2.0), min(high, 102.0))
    else:
        ax.set_yscale(scale(values))
    return True


def same_axis(method: str, group: Sequence[T], axis: Callable[[T], Array]) -> Array:
    """Find the common x axis of one method's records.

    Raises ValueError where they differ.
    """
    first = axis(group[0])
    if any(not np.array_equal(axis(record), first) for record in group):
        raise ValueError(f"`records` of {method or 'one method'} must share their levels.")
    return first


def over_minima(groups: Mapping[str, Sequence[Record]]) -> str:
    """Describe in words what the band of exact numbers is over."""
    seeds = [len(group) for group in groups.values()]
    if max(seeds) == 1:
        return "one minimum per method: no band"
    return f"mean over {counts(seeds, 'seed')}, band: 95 % t interval"
