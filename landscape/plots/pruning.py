"""Pruning: what is left of accuracy and loss without the smallest weights."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from landscape.plots.drawing.bands import QUANTITIES, over_minima, panel_of
from landscape.plots.drawing.multiples import curves_page
from landscape.plots.drawing.prepare import ByMethod, conditions, grouped
from landscape.plots.drawing.style import styled
from landscape.records import Array, PruningRecord

SCOPES = {"global": "of the network", "layer": "of each layer"}


@styled
def pruning(
    records: ByMethod[PruningRecord],
    quantities: Sequence[str] = QUANTITIES,
    ax: Axes | Sequence[Axes] | None = None,
    *,
    baseline: str = "",
) -> Figure:
    """Each quantity over the share of weights set to zero, from none: the mean over minima with its
    t band.

    More than three methods on a figure of its own: small multiples, the baseline (default sgd, or
    the first) in grey.
    Raises ValueError where the records of one method have different shares.
    """
    groups = grouped(records, PruningRecord)
    flat = [record for group in groups.values() for record in group]
    scopes = {SCOPES.get(record.scope, record.scope) for record in flat}
    where = conditions(flat)
    words = over_minima(groups) + (f" · {where}" if where else "")

    def draw(panel: Axes, i: int) -> None:
        panel.set_xlabel(f"smallest weights pruned, % {' / '.join(sorted(scopes))}")
        panel_of(panel, quantities[i], groups, _fractions, _from_whole)

    return curves_page(groups, len(quantities), draw, words, ax=ax, baseline=baseline).figure


def _fractions(record: PruningRecord) -> Array:
    return 100 * _from_whole(record, "fraction")


def _from_whole(record: PruningRecord, quantity: str) -> Array:
    """At each share, after the network as it was trained where the record starts later."""
    clean = {"fraction": 0.0, "loss": record.clean_loss, "accuracy": record.clean_accuracy}
    first = [] if record.fraction[0] == 0 else [clean[quantity]]
    return np.append(first, getattr(record, quantity))
