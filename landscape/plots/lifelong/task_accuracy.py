"""Accuracy on each task of a sequence while the tasks after it are learned."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from landscape.plots.drawing.bands import banded, over_minima
from landscape.plots.drawing.prepare import ByMethod, grouped, shown
from landscape.plots.drawing.style import GREY, even_columns, sheet, styled
from landscape.records import Array, LifelongRecord


@styled
def task_accuracy(
    records: ByMethod[LifelongRecord], ax: Axes | Sequence[Axes] | None = None
) -> Figure:
    """A panel for each task j: a[i, j] over i, from before the first task; one line per method.

    The dotted line is where the task was learned: what falls after it is forgotten, what rises
    before it is transferred. Lines are means over seeds with their 95 % t interval.

    Raises ValueError where the records have different numbers of tasks.
    """
    groups = grouped(records, LifelongRecord)
    count = number_of_tasks(groups)
    page = sheet(
        ax, count, columns=even_columns(count), height=1.6, extra=0.5, sharex=ax is None,
        sharey=ax is None,
    )  # fmt: skip
    for j, panel in enumerate(page.axes):
        panel.axvline(j + 1, color=GREY, linewidth=0.8, linestyle=":", zorder=1)
        for method, runs in groups.items():
            curves = np.stack([shown("accuracy", from_the_start(run)[:, j]) for run in runs])
            banded(panel, method, np.arange(count + 1), curves)
        panel.set_title(f"task {j + 1}")
        panel.set_ylim(-2, 102)
        panel.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        panel.set(xlabel="after task", ylabel="test accuracy (%)")
        panel.label_outer() if page.own else None
    page.foot(groups, over_minima(groups) + " · dotted: the task was learned")
    return page.figure


def from_the_start(record: LifelongRecord) -> Array:
    """Accuracies (T + 1, T), those before the first task among them."""
    return np.vstack([record.start, record.accuracy])


def number_of_tasks(groups: dict[str, list[LifelongRecord]]) -> int:
    """Number of tasks of all records; ValueError where they differ."""
    counts = {len(run.start) for runs in groups.values() for run in runs}
    if len(counts) > 1:
        raise ValueError(f"`records` must have one number of tasks. Got {sorted(counts)}.")
    return counts.pop()
