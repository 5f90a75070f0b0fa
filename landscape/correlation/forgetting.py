"""Numbers of a network that learned a sequence: measured after its first task, then forgetting it.

Mirzadeh, Farajtabar, Pascanu, Ghasemzadeh, NeurIPS 2020 (arXiv 2006.06958): later tasks move the
weights by Δw, and the loss of the first rises by ½ Δwᵀ H Δw ≤ ½ λ_max ‖Δw‖², to second order around
its minimum. The rise of the test loss is that difference, not a ratio: it is what the bound is of,
and a ratio would hold the generalisation gap that the networks had before they forgot anything.
"""

from collections.abc import Mapping
from typing import Any

from landscape.analysis.reference_points import final
from landscape.network.weights import Weights
from landscape.records import Array, LifelongRecord, load_all
from landscape.training.run import Run, task_folder

FIRST = 1  # the task that is measured and forgotten


def after_first_task(run: Run) -> tuple[Mapping[str, float], Mapping[str, Any], Any]:
    """Last row of metrics of the first task, the records taken after it, and its weights (n,)."""
    rows = [row for row in run.metrics if row.get("task") == FIRST]
    weights = Weights(run.model(FIRST)).read()
    return rows[-1], load_all(task_folder(run.path, FIRST)), weights


def forgotten(run: Run, lambda_max: float) -> dict[str, float]:
    """Targets of a network over a sequence, the distance moved by later tasks, and the bound."""
    record = run.records()["lifelong"]
    assert isinstance(record, LifelongRecord)
    moved = float((final(run) - Weights(run.model(FIRST)).read()).double().norm())
    return {
        "forgetting": -change(record.accuracy),
        "loss_rise": change(record.loss),
        "moved": moved,
        "forgetting_bound": 0.5 * lambda_max * moved**2,
    }


def change(values: Array) -> float:
    """Change of the first task's number by learning the others, a[T, 1] − a[1, 1].

    values: accuracy or loss a[i, j] on the tests of task j after task i, (T, T).

    Example: an accuracy that falls from 0.9 over 0.94 to 0.7.

    >>> import numpy as np
    >>> from landscape.correlation.forgetting import change
    >>> round(change(np.array([[0.9, 0.5, 0.5], [0.94, 0.8, 0.5], [0.7, 0.84, 0.96]])), 2)
    -0.2
    """
    return float(values[-1, 0] - values[0, 0])
