"""The worst case in a ball: the highest loss that was found, and the accuracy there."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from landscape.plots.drawing.bands import QUANTITIES, over_minima, panel_of
from landscape.plots.drawing.multiples import curves_page
from landscape.plots.drawing.prepare import ByMethod, conditions, grouped
from landscape.plots.drawing.style import styled
from landscape.plots.noise import UNITS
from landscape.records import Array, WorstCaseRecord

TITLES = {"loss": "highest loss found", "accuracy": "where the highest loss was found"}


@styled
def worst_case(
    records: ByMethod[WorstCaseRecord],
    quantities: Sequence[str] = QUANTITIES,
    ax: Axes | Sequence[Axes] | None = None,
    *,
    baseline: str = "",
) -> Figure:
    """Each quantity at the worst point group within each radius, from the clean one at 0.

    The mean over minima with its t band. The loss is a lower bound of the worst; the accuracy is
    that of the same point. Raises ValueError where the records of one method have different radii.
    """
    groups = grouped(records, WorstCaseRecord)
    flat = [record for group in groups.values() for record in group]
    units = " / ".join(sorted({UNITS.get(record.scale, record.scale) for record in flat}))
    where = conditions(flat)
    words = ["lower bound of the worst loss, by projected gradient ascent", over_minima(groups)]

    def draw(panel: Axes, i: int) -> None:
        panel.set_xlabel(f"radius ρ, {units}")
        panel.set_title(TITLES[quantities[i]])
        panel_of(panel, quantities[i], groups, _radii, _from_clean)

    return curves_page(
        groups, len(quantities), draw, " · ".join(filter(None, [*words, where])), ax=ax,
        baseline=baseline,
    ).figure  # fmt: skip


def _radii(record: WorstCaseRecord) -> Array:
    return np.append(0.0, record.radius)


def _from_clean(record: WorstCaseRecord, quantity: str) -> Array:
    clean = record.clean_loss if quantity == "loss" else record.clean_accuracy
    return np.append(clean, getattr(record, quantity))
