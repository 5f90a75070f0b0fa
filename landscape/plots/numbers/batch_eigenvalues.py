"""Largest eigenvalues over mini-batches, a column a minimum, and that of all examples."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from landscape.plots.drawing.prepare import MATRICES, ByMethod, conditions, counts, grouped, scale
from landscape.plots.drawing.style import INK, drawing_of, sheet, style_of, styled, text
from landscape.records import BatchEigenvaluesRecord

WIDTH = 0.7  # of a method's slot that its seeds share
PANELS = {"values": "largest eigenvalue of the {}", "batch_sharpness": "batch sharpness gᵀHg/‖g‖²"}


@styled
def batch_eigenvalues(
    records: ByMethod[BatchEigenvaluesRecord], ax: Axes | Sequence[Axes] | None = None
) -> Figure:
    """λ₁ of each mini-batch and its batch sharpness; a dash in ink: λ₁ of all of them together.

    The mean over batches lies above the dash by convexity: it is no estimate of it.
    """
    groups = grouped(records, BatchEigenvaluesRecord)
    flat = [record for group in groups.values() for record in group]
    kinds = {record.curvature for record in flat}
    matrix = MATRICES.get(*kinds, *kinds) if len(kinds) == 1 else "curvature"
    page = sheet(ax, len(PANELS), columns=2, height=2.8, extra=0.5)
    for panel, (name, label) in zip(page.axes, PANELS.items(), strict=True):
        for slot, (method, group) in enumerate(groups.items()):
            with drawing_of(panel, method):
                _method(panel, slot, method, group, name)
        names = [text(style_of(method).label) for method in groups]
        panel.set_xticks(range(len(names)), names, rotation=40, ha="right", rotation_mode="anchor")
        panel.set_ylabel(label.format(matrix))
        panel.set_yscale(scale(np.concatenate([getattr(r, name) for r in flat])))
        panel.grid(False, axis="x")
    sizes = counts([record.m for record in flat], "example")
    seeds = counts([len(group) for group in groups.values()], "seed")
    words = f"a dot: a batch of {sizes} · dash: all together · {seeds} side by side"
    page.foot([], f"{words} · {conditions(flat)}")
    return page.figure


def _method(
    ax: Axes, slot: int, method: str, group: list[BatchEigenvaluesRecord], name: str
) -> None:
    gap, style = WIDTH / len(group), style_of(method)
    for seed, record in enumerate(group):
        x = slot + gap * (seed - (len(group) - 1) / 2)
        values = getattr(record, name)
        ax.plot(np.full(len(values), x), values, ".", color=style.colour, alpha=0.5, markersize=4)
        if name == "values":
            ends = x + np.array([-0.45, 0.45]) * gap
            ax.plot(ends, [record.whole, record.whole], color=INK, linewidth=1.2)
