"""Sequence of tasks: which classes each has, and its examples."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from landscape.data import DataSet, split
from landscape.lifelong.settings import LifelongSettings
from landscape.network.batch import Batch

Classes = np.ndarray[tuple[int, int], np.dtype[np.int64]]


@dataclass(frozen=True, eq=False)
class TaskSequence:
    """Examples by task; x is {"x": inputs, "task": number of the task from 0, (n,)}.

    classes: (T, c) numbers of the classes in the data set, by task and label.
    train, held_out, test: of each task. all_train, all_held_out: those of all tasks one after the
    other, of which `train` and `held_out` are views.
    """

    classes: Classes
    train: Sequence[Batch]
    held_out: Sequence[Batch]
    test: Sequence[Batch]
    all_train: Batch
    all_held_out: Batch

    @property
    def sizes(self) -> list[int]:
        """Number of training examples of each task."""
        return [batch.size for batch in self.train]


def class_order(classes: int, tasks: int, seed: int | None) -> Classes:
    """Classes (T, c) by task and label: numpy's `RandomState(seed).permutation`, cut into rows.

    seed: None keeps the order. classes must be a multiple of tasks.

    Example: two tasks of two classes.

    >>> from landscape.lifelong.sequence import class_order
    >>> class_order(4, 2, seed=0).tolist()
    [[2, 3], [1, 0]]
    """
    order = np.arange(classes) if seed is None else np.random.RandomState(seed).permutation(classes)
    return order.reshape(tasks, -1)


def check(dataset: DataSet, settings: LifelongSettings) -> None:
    """Raise ValueError where a data set has no classes, or not as many for each task."""
    if not dataset.classes or dataset.train_y.dim() != 1:
        raise ValueError(
            f"Lifelong learning needs one class for each example. {dataset.name} has other targets."
        )
    if dataset.classes % settings.tasks:
        raise ValueError(
            f"`lifelong.tasks` must divide the number of classes, {dataset.classes}. "
            f"Got {settings.tasks}."
        )


def sequence_of(
    dataset: DataSet,
    settings: LifelongSettings,
    seed: int,
    held_out: float = 0.1,
    label_noise: float = 0.0,
    device: torch.device | str = "cpu",
) -> TaskSequence:
    """Cut a data set into tasks, and each task into training, held-out and test examples.

    Labels are 0 ... c - 1 within a task; with `masked` "test" they number the outputs of all tasks.
    held_out, label_noise: of each task, as `landscape.data.split` has them.

    Raises ValueError as `check` does.
    """
    check(dataset, settings)
    order = class_order(dataset.classes, settings.tasks, seed if settings.order == "seed" else None)
    parts = [split(_of_task(dataset, row), seed, held_out, label_noise) for row in order]
    shift = order.shape[1] if settings.masked == "test" else 0

    def joined(batches: Sequence[Batch]) -> tuple[Batch, list[Batch]]:
        sizes = [batch.size for batch in batches]
        task = torch.repeat_interleave(torch.arange(len(batches)), torch.tensor(sizes))
        whole = Batch(
            {"x": torch.cat([b.x for b in batches]), "task": task},
            torch.cat([b.y for b in batches]) + shift * task,
        ).to(device)
        ends = np.cumsum([0, *sizes]).tolist()
        return whole, [whole.rows(slice(*pair)) for pair in pairwise(ends)]

    all_train, train = joined([part.train for part in parts])
    all_held_out, held = joined([part.held_out for part in parts])
    _, test = joined([part.test for part in parts])
    return TaskSequence(order, train, held, test, all_train, all_held_out)


def seen(batches: Sequence[Batch], tasks: int) -> Batch:
    """The examples of the first tasks in one batch."""
    x, y = [b.x for b in batches[:tasks]], torch.cat([b.y for b in batches[:tasks]])
    return Batch({name: torch.cat([inputs[name] for inputs in x]) for name in ("x", "task")}, y)


def _of_task(dataset: DataSet, classes: np.ndarray) -> DataSet:
    """The examples of some classes, which are numbered as they stand here."""
    label = torch.full((dataset.classes,), -1)
    label[torch.from_numpy(classes)] = torch.arange(len(classes))

    def chosen(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        rows = label[y] >= 0
        return x[rows], label[y[rows]]

    train_x, train_y = chosen(dataset.train_x, dataset.train_y)
    test_x, test_y = chosen(dataset.test_x, dataset.test_y)
    return replace(
        dataset, train_x=train_x, train_y=train_y, test_x=test_x, test_y=test_y,
        classes=len(classes), fingerprint=f"{dataset.fingerprint} {classes.tolist()}",
    )  # fmt: skip
