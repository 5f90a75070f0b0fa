"""Measures after each task of a sequence, and the accuracy on the way from task to task."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from landscape.analysis import outcome
from landscape.analysis.minimum import Minimum, of_checkpoint
from landscape.analysis.subject import TrainTestObjective
from landscape.network.weights import Weights
from landscape.records import Array, LifelongRecord, load_all
from landscape.training.run import Run, task_folder
from landscape.utils.progress import Listener, Progress

POSITIONS = 11  # of the weights along a line, both ends among them
NUMBERS = (  # of the measures: those that the record has by task
    "lambda_max", "lambda_max_bound", "trace", "rise_area", "kappa", "noise_sigma_5",
)  # fmt: skip


def tasks_to_measure(minimum: Minimum) -> int:
    """Number of tasks of a run that asks for measures after each of them; else 0."""
    lifelong = minimum.run.settings.lifelong if minimum.run else None
    return lifelong.tasks if lifelong is not None and lifelong.measure == "task" else 0


def minimum_after(
    task: int, minimum: Minimum, data_dir: Path | None, device: str | None
) -> Minimum:
    """The minimum after a task, from 1: on examples of the tasks up to it.

    Its records lie in a folder of its own within the run's. Raises ValueError where the subject is
    no run over a sequence, or has no task of that number.
    """
    run = minimum.run
    if run is None or run.settings.lifelong is None:
        raise ValueError("`after` is the task of a run over a sequence of tasks. Leave it out.")
    if not 1 <= task <= run.settings.num_tasks:
        raise ValueError(
            f"`after` must be the number of a task, 1 to {run.settings.num_tasks}. Got {task}."
        )
    objective = partial(
        run.objective, examples=minimum.examples, batch_norm=minimum.batch_norm,
        data_dir=data_dir, device=device, after=task,
    )  # fmt: skip
    return of_checkpoint(
        TrainTestObjective(partial(objective, "train"), partial(objective, "test")),
        task_folder(run.path, task),
        examples=minimum.examples,
        name=f"{minimum.name}, task {task}",
    )


def record_of(
    run: Run, data_dir: Path | None, device: str | None, progress: Listener, name: str
) -> LifelongRecord:
    """Keep and return a run's record with what was measured after each task, and the lines between.

    Lines that are there already are not evaluated again.
    """
    record = run.records()["lifelong"]
    assert isinstance(record, LifelongRecord)
    count = len(record.start)
    folders = [task_folder(run.path, task) for task in range(1, count)]
    values = [outcome.values(found) for found in [*map(load_all, folders), run.records()]]
    names = [n for n in NUMBERS if any(n in found for found in values)]
    table = [[found.get(n, np.nan) for n in names] for found in values]
    along: dict[str, Any] = {}
    if record.path_accuracy is None:
        position = np.linspace(0.0, 1.0, POSITIONS)
        along["position"] = position
        along["path_accuracy"] = _along_lines(run, position, data_dir, device, progress, name)
    complete = replace(
        record,
        quantities=np.array(names, dtype=str),
        measured=np.reshape(np.array(table, dtype=float), (count, len(names))),
        **along,
    )
    path = run.path / "records" / "lifelong.nc"
    complete.save(path)
    run.seal_record(path)
    return complete


def _along_lines(
    run: Run,
    position: Array,
    data_dir: Path | None,
    device: str | None,
    progress: Listener,
    name: str,
) -> Array:
    """Accuracy on the tests of task j from the weights after it to those after task i > j."""
    count = run.settings.lifelong.tasks if run.settings.lifelong else 0
    w = [Weights(run.model(after)).read() for after in range(1, count + 1)]
    accuracy = np.full((count, count, len(position)), np.nan)
    for j in range(count - 1):
        objective = run.objective_on_task(j + 1, data_dir=data_dir, device=device)
        start = objective.w
        for i in range(j + 1, count):
            points = [torch.lerp(start, w[i].to(start), float(t)) for t in position]
            accuracy[i, j] = [right for _, right in objective.evaluate(points)]
        progress(Progress("measure", f"{name}, tasks: lines between", j + 1, count - 1))
    return accuracy
