"""The worst case in a ball: the highest loss that was found, and the accuracy there."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from landscape.plots.drawing.bands import (
    QUANTITIES,
    banded,
    fitted,
    labelled,
    over_minima,
    same_axis,
)
from landscape.plots.drawing.prepare import ByMethod, conditions, grouped, shown
from landscape.plots.drawing.style import sheet, styled
from landscape.plots.noise import UNITS
from landscape.records import Array, WorstCaseRecord

TITLES = {"loss": "highest loss found", "accuracy": "where the highest loss was found"}


@styled
def worst_case(
    records: ByMethod[WorstCaseRecord],
    quantities: Sequence[str] = QUANTITIES,
    ax: Axes | Sequence[Axes] | None = None,
) -> Figure:
    """Each quantity at the worst point found within each radius, from the clean one at 0.

    The mean over minima with its t band. The loss is a lower bound of the worst; the accuracy is
    that of the same point. Raises ValueError where the records of one method have different radii.
    """
    groups = grouped(records, WorstCaseRecord)
    flat = [record for found in groups.values() for record in found]
    page = sheet(ax, len(quantities), columns=min(2, len(quantities)), extra=0.6)
    units = " / ".join(sorted({UNITS.get(record.scale, record.scale) for record in flat}))
    for panel, quantity in zip(page.axes, quantities, strict=True):
        panel.set_xlabel(f"radius ρ, {units}")
        labelled(panel, quantity, flat)
        panel.set_title(TITLES[quantity])
        means = []
        for method, found in groups.items():
            radius = same_axis(method, found, lambda record: record.radius)
            values = [shown(quantity, _from_clean(record, quantity)) for record in found]
            means.append(banded(panel, method, np.append(0.0, radius), np.stack(values)))
        fitted(panel, quantity, means)
    words = "lower bound of the worst loss, by projected gradient ascent · "
    where = conditions(flat)
    page.foot(groups, words + over_minima(groups) + (f" · {where}" if where else ""))
    return page.figure


def _from_clean(record: WorstCaseRecord, quantity: str) -> Array:
    clean = record.clean_loss if quantity == "loss" else record.clean_accuracy
    return np.append(clean, getattr(record, quantity))
