"""Record of a run over a sequence of tasks: its accuracy matrix, and the metrics of forgetting."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from landscape.records.record import Array, Axes, Record

NAN = float("nan")


def average_accuracy(a: Array, start: Array) -> float:
    """Mean accuracy over all tasks after the last, mean_j a[T, j]."""
    return float(a[-1].mean())


def forgetting(a: Array, start: Array) -> float:
    """Mean loss of accuracy since a task was known best, NaN for one task.

    mean_{j<T} (max_{j≤i<T} a[i, j] − a[T, j]); negative where later tasks helped.
    """
    best = [a[j:-1, j].max() for j in range(len(a) - 1)]
    return _mean(np.array(best) - a[-1, :-1])


def learning_accuracy(a: Array, start: Array) -> float:
    """Mean accuracy on each task just after it was learned, mean_j a[j, j]."""
    return float(a.diagonal().mean())


def backward_transfer(a: Array, start: Array) -> float:
    """Mean change of accuracy on a task by those after it, mean_{j<T} (a[T, j] − a[j, j])."""
    return _mean(a[-1, :-1] - a.diagonal()[:-1])


def forward_transfer(a: Array, start: Array) -> float:
    """Mean gain on a task by those before it, mean_{j>1} (a[j−1, j] − start[j])."""
    return _mean(a.diagonal(1) - start[1:])


def _mean(values: Array) -> float:
    return float(values.mean()) if values.size else NAN


LIFELONG: dict[str, Callable[[Array, Array], float]] = {
    "average_accuracy": average_accuracy,
    "forgetting": forgetting,
    "learning_accuracy": learning_accuracy,
    "backward_transfer": backward_transfer,
    "forward_transfer": forward_transfer,
}


@dataclass(frozen=True, eq=False, repr=False)
class LifelongRecord(Record):
    """Accuracies of a run over T tasks, trained one after the other; NaN where one was not reached.

    accuracy: a[i, j], on the tests of task j after task i. start: before the first. loss,
    start_loss: likewise. grad_evals, seconds: spent until the end of each task. classes: numbers of
    the classes, by task and label. replay, memory: the kind of replay, and how many examples it
    remembers in all.

    quantities, measured: numbers of the measures asked after each task, on training examples of the
    tasks up to it. position, path_accuracy: on the tests of task
    j along the line from the weights after it to those after task i > j; else NaN.

    The metrics follow from accuracy and start, and are filled in when the record is made.
    """

    kind: ClassVar[str] = "lifelong"
    accuracy: Annotated[Array, Axes("after", "task")]
    start: Annotated[Array, Axes("task")]
    loss: Annotated[Array, Axes("after", "task")]
    start_loss: Annotated[Array, Axes("task")]
    grad_evals: Annotated[Array, Axes("after", units="passes")]
    seconds: Annotated[Array, Axes("after", units="s")]
    classes: Annotated[Array, Axes("task", "label")]
    replay: str = "none"
    memory: int = 0
    average_accuracy: float = NAN
    forgetting: float = NAN
    learning_accuracy: float = NAN
    backward_transfer: float = NAN
    forward_transfer: float = NAN
    quantities: Annotated[Array | None, Axes("quantity")] = None
    measured: Annotated[Array | None, Axes("after", "quantity")] = None
    position: Annotated[Array | None, Axes("position")] = None
    path_accuracy: Annotated[Array | None, Axes("after", "task", "position")] = None

    def __post_init__(self) -> None:
        a, start = (np.asarray(x, dtype=float) for x in (self.accuracy, self.start))
        for name, metric in LIFELONG.items():
            object.__setattr__(self, name, metric(a, start))

    def quantity(self, name: str) -> Array:
        """A number of a measure after each task, (T,); NaN where it was not asked."""
        names = [] if self.quantities is None else list(map(str, self.quantities))
        if name not in names or self.measured is None:
            return np.full(len(self.accuracy), NAN)
        values: Array = self.measured[:, names.index(name)]
        return values
