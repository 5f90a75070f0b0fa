"""Accuracy matrix of a sequence of tasks as a heat map."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from landscape.plots.drawing.prepare import ByMethod, counts, grouped, shown
from landscape.plots.drawing.style import (
    COLOUR_MAP,
    WHITE,
    even_columns,
    sheet,
    style_of,
    styled,
    text,
)
from landscape.plots.lifelong.task_accuracy import from_the_start, number_of_tasks
from landscape.records import LifelongRecord

WRITTEN = 6  # tasks up to which the numbers stand in their cells
BLACK = "#101418"  # on light cells, also where the paper turns dark
DARK_BELOW = 55.0  # per cent: cells that are dark enough for white letters


@styled
def accuracy_matrix(
    records: ByMethod[LifelongRecord], ax: Axes | Sequence[Axes] | None = None
) -> Figure:
    """A panel per method: mean accuracy on task j (column) after task i (row), 0: before the first.

    The framed cells are those of the task just learned; to their left is what was learned before,
    to their right what is still to come.

    Raises ValueError where the records have different numbers of tasks.
    """
    groups = grouped(records, LifelongRecord)
    count, norm = number_of_tasks(groups), Normalize(0, 100)
    columns = even_columns(len(groups))
    page = sheet(ax, len(groups), columns=columns, height=2.1, extra=0.3, sharey=ax is None)
    for panel, (method, runs) in zip(page.axes, groups.items(), strict=True):
        mean = shown("accuracy", np.mean([from_the_start(run) for run in runs], axis=0))
        panel.imshow(mean, cmap=COLOUR_MAP, norm=norm, aspect="auto")
        panel.grid(False)
        _frames(panel, count)
        if count <= WRITTEN:
            _numbers(panel, mean)
        panel.set_xticks(range(count), [str(j + 1) for j in range(count)])
        panel.xaxis.set_major_locator(MaxNLocator(6, integer=True)) if count > WRITTEN else None
        panel.yaxis.set_major_locator(MaxNLocator(6, integer=True))
        panel.set_title(text(style_of(method).label))
        panel.set(xlabel="test accuracy on task", ylabel="after task")
        panel.label_outer() if page.own else None
    bar = page.figure.colorbar(ScalarMappable(norm, COLOUR_MAP), ax=page.axes, pad=0.02, aspect=30)
    bar.set_label("test accuracy (%)")
    bar.outline.set_visible(False)
    seeds = counts([len(runs) for runs in groups.values()], "seed")
    page.foot([], f"mean over {seeds} · framed: the task just learned")
    return page.figure


def _frames(ax: Axes, count: int) -> None:
    for j in range(count):
        ax.add_patch(
            Rectangle((j - 0.46, j + 0.54), 0.92, 0.92, fill=False, edgecolor=WHITE, linewidth=1.4)
        )


def _numbers(ax: Axes, mean: np.ndarray) -> None:
    for (i, j), value in np.ndenumerate(mean):
        if np.isfinite(value):
            colour = WHITE if value < DARK_BELOW else BLACK
            ax.text(j, i, f"{value:.0f}", ha="center", va="center", fontsize=6.5, color=colour)
