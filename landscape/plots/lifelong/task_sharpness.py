"""Sharpness of the minimum after each task, and the way from task to task."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from landscape.plots.drawing.bands import banded, over_minima
from landscape.plots.drawing.prepare import ByMethod, grouped, scale, shown
from landscape.plots.drawing.style import empty, sheet, styled
from landscape.plots.lifelong.task_accuracy import number_of_tasks
from landscape.records import Array, LifelongRecord

MISSING = "not measured after each task:\nset lifelong.measure to task"


@styled
def task_sharpness(
    records: ByMethod[LifelongRecord], ax: Axes | Sequence[Axes] | None = None
) -> Figure:
    """Left: λ max of the loss on the tasks so far, after each of them. Right: accuracy on earlier
    tasks along the line from the weights just after each to those after the last, a mean over them.

    Lines are means over seeds with their 95 % t interval.

    Raises ValueError where the records have different numbers of tasks.
    """
    groups = grouped(records, LifelongRecord)
    count = number_of_tasks(groups)
    page = sheet(ax, 2, columns=2, extra=0.5)
    sharp, way = page.axes
    lambdas = {m: np.stack([r.quantity("lambda_max") for r in rs]) for m, rs in groups.items()}
    sharp.set(xlabel="after task", ylabel="λ max on the tasks so far")
    way.set(xlabel="from after the task (0) to after the last (1)", ylabel="test accuracy (%)")
    if any(np.isfinite(values).any() for values in lambdas.values()):
        means = [banded(sharp, m, np.arange(1, count + 1), v) for m, v in lambdas.items()]
        sharp.set_yscale(scale(np.concatenate(means)))
        sharp.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    else:
        empty(sharp, MISSING)
    lines = {
        m: [line for r in rs if (line := _to_the_end(r)) is not None] for m, rs in groups.items()
    }
    for method, drawn in lines.items():
        if drawn:
            position = next(r.position for r in groups[method] if r.position is not None)
            banded(way, method, position, shown("accuracy", np.stack(drawn)))
    if not any(lines.values()):
        empty(way, MISSING)
    page.foot(groups, over_minima(groups))
    return page.figure


def _to_the_end(record: LifelongRecord) -> Array | None:
    """Accuracy on earlier tasks along the lines to the last weights, (positions,)."""
    if record.path_accuracy is None or len(record.start) < 2:
        return None
    mean: Array = record.path_accuracy[-1, :-1].mean(axis=0)
    return mean
