"""Lifelong training in memory: one task after the other, each by a training of its own."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

import torch

from landscape.data import DataSet
from landscape.lifelong.heads import logits_of
from landscape.lifelong.memory import memory_of
from landscape.lifelong.sequence import sequence_of
from landscape.methods import make
from landscape.tasks.registry import Task
from landscape.training.checkpoint import clone
from landscape.training.evaluation import PlainEvaluation
from landscape.training.loop import Training
from landscape.training.protocols.replay import TaskExamples
from landscape.training.settings import Settings, unlabelled
from landscape.training.stage import EVALUATED, Stage, network_and_drawn
from landscape.utils import interrupt
from landscape.utils.device import device_of
from landscape.utils.rng import seed_of

Row = dict[str, float]
Number = TypeVar("Number", int, float)
COUNTERS = ("epoch", "step", "grad_evals", "passes", "seconds")  # columns that run on over tasks


class LifelongTraining:
    """Train task by task; the face is that of `Training`, and so are the steps.

    Network, method and memory go on from task to task; base optimizer and schedule begin anew. A
    task's randomness is that of a training whose seed is the run's for the first task, and derived
    from it and the task's number for the others: one task is a plain training, bit for bit.

    The metrics of an epoch are means over the tasks seen so far. results: rows of the accuracy
    matrix, the first before training: {"task": i, "accuracy_1": ..., "loss_1": ...}. ended: the
    number of the task that ended with the last epoch, else 0. stops: for each task that has ended,
    whether and where it met the level of `stop_at_loss`.
    """

    monitor = None
    looks: tuple[Row, ...] = ()
    check_interrupt = staticmethod(interrupt.check)

    def __init__(self, settings: Settings, task: Task, dataset: DataSet):
        assert settings.lifelong is not None
        self.settings, self.lifelong = settings, settings.lifelong
        self.device = device_of(settings.training.device)
        self.plain_loss, self.score = task.plain_loss, task.score.name
        self._task, self._dataset, data = task, dataset, settings.data
        self.sequence = sequence_of(
            dataset, self.lifelong, settings.seed, data.held_out, data.label_noise, self.device
        )
        self.model, self.drawn = network_and_drawn(settings, task)
        self.method = make(unlabelled(settings.method), settings.methods)
        self.memory = memory_of(self.lifelong, dataset.classes)
        self._evaluate = PlainEvaluation(
            self.model, task.evaluated_at_once(data.batch_size), logits_of(self.lifelong)
        )
        self._before: list[Row] = []  # rows of the tasks that have ended
        self.index, self.ended = 0, 0
        self.stops: list[dict[str, Any]] = []
        self.current = self._training()
        self.results = [self._result()]
        self._memory_at_epoch = self.memory.state_dict()

    @property
    def rows(self) -> list[Row]:
        """Metrics of all epochs, the counters running on over the tasks."""
        return [*self._before, *map(self._shifted, self.current.rows)]

    @property
    def epoch(self) -> int:
        """Number of epochs, over all tasks."""
        return self._total("epoch", self.current.epoch)

    @property
    def steps(self) -> int:
        """Number of steps, over all tasks."""
        return self._total("step", self.current.steps)

    @property
    def spent(self) -> float:
        """Share of the budget that is gone; all tasks have the same."""
        return (self.index + self.current.spent) / self.lifelong.tasks

    @property
    def done(self) -> bool:
        """Test whether the last task has ended."""
        return len(self.results) > self.lifelong.tasks

    def outcome(self) -> dict[str, Any]:
        """Entry of status.json: whether every task met the level of `stop_at_loss`, and each."""
        if self.settings.training.stop_at_loss is None:
            return {}
        tasks = self.stops if self.ended else [*self.stops, *self.current.outcome().values()]
        met = len(tasks) == self.lifelong.tasks and all(task["met"] for task in tasks)
        return {"stop_at_loss": {"met": met, "tasks": tasks}}

    def describe(self) -> dict[str, Any]:
        """Facts about the run that its environment.json keeps: the sequence of tasks."""
        memory = {"replay": self.lifelong.replay, "memory": self.memory.size}
        sequence = {"classes": self.sequence.classes.tolist(), **memory}
        return {"sequence": sequence, **self.current.describe()}

    def run_epoch(self) -> Iterator[float]:
        """Train the task at hand for an epoch; yields the share spent after each step.

        Where it ends with it, its row of the matrix is taken. Raises Diverged as `Training` does.
        """
        if self.ended:
            self._next_task()
        if self.current.partial is None:
            self._memory_at_epoch = clone(self.memory.state_dict())
        for _ in self.current.run_epoch():
            yield self.spent
        if self.current.done:
            self._end_task()

    def boundary(self) -> dict[str, Any]:
        """Everything that the next steps depend on, copied. Between two steps only."""
        inside = self.current.partial is not None
        held = {
            "task": self.index,
            "ended": self.ended,
            "before": self._before,
            "results": self.results,
            "stops": self.stops,
            "memory": self._memory_at_epoch if inside else self.memory.state_dict(),
            "rows": self.rows,
            "epoch": self.epoch,
            "steps": self.steps,
        }
        return {**clone(held), "training": self.current.boundary()}

    def restore(self, boundary: dict[str, Any]) -> None:
        """Stand where `boundary` was taken."""
        state = clone(boundary)
        self.index, self.ended = state["task"], state["ended"]
        self._before, self.results = state["before"], state["results"]
        self.stops = state.get("stops", [])  # checkpoints of older programs have none
        self.memory.load_state_dict(state["memory"])
        self._memory_at_epoch = clone(state["memory"])
        self.current = self._training()
        self.current.restore(state["training"])

    def _training(self) -> Training:
        """The training of the task at hand, from the present weights."""
        settings, seed = self.settings, self.settings.seed
        if self.index:
            settings = replace(settings, seed=seed_of(seed, "task", self.index))
        return Training(settings, self._task, self._dataset, self._stage())

    def _stage(self) -> Stage:
        sequence, count = self.sequence, self.index + 1
        train, held_out = sequence.train[self.index], sequence.held_out[self.index]
        size = min(self.settings.data.batch_size, train.size)
        each = -(-EVALUATED // count)
        evaluated = {
            "train": [batch.rows(slice(each)) for batch in sequence.train[:count]],
            "held_out": sequence.held_out[:count],
            "test": sequence.test[:count],
        }
        examples = TaskExamples(train, held_out, size, sequence, self.memory, self.index)
        return Stage(
            self.model, self.method, examples, evaluated, self._evaluate, self._augment(),
            rate=self.lifelong.gamma**self.index, begins=self.index == 0,
        )  # fmt: skip

    def _augment(self) -> Callable[[Any, torch.Generator], Any] | None:
        augment = self._dataset.augment
        if augment is None or not self.settings.data.augment:
            return None
        return lambda x, generator: {**x, "x": augment(x["x"], generator)}

    def _end_task(self) -> None:
        generator = torch.Generator().manual_seed(seed_of(self.settings.seed, "memory", self.index))
        start = sum(self.sequence.sizes[: self.index])
        rows = torch.arange(start, start + self.sequence.sizes[self.index])
        self.memory.end_task(rows, generator)
        self.ended = self.index + 1
        self.stops += self.current.outcome().values()
        self.results.append(self._result())

    def _next_task(self) -> None:
        kept = self.current.optimizer.state_dict() if self.lifelong.between == "keep" else None
        self._before = self.rows
        self.index, self.ended = self.index + 1, 0
        begin_task(self.method)
        self.current = self._training()
        if kept is not None:
            self.current.optimizer.load_state_dict(kept)
        self.current.check_above_level(f"of task {self.index + 1} before its first step")

    def _result(self) -> Row:
        """The row of the accuracy matrix at the present weights, over the tests of all tasks."""
        row = {"task": float(self.ended)}
        for j, test in enumerate(self.sequence.test):
            loss, accuracy = self._evaluate(f"test {j}", test, self.plain_loss)
            row |= {f"accuracy_{j + 1}": accuracy, f"loss_{j + 1}": loss}
        last = self.rows[-1]
        return row | {name: last[name] for name in ("grad_evals", "seconds")}

    def _shifted(self, row: Row) -> Row:
        counted = {name: self._total(name, row[name]) for name in COUNTERS}
        return {**row, **counted, "task": self.index + 1.0}

    def _total(self, name: str, within: Number) -> Number:
        """A counter of the present task's training, with those of the tasks before it."""
        return within + type(within)(self._before[-1][name]) if self._before else within


def begin_task(method: Any) -> None:
    """Tell a method, and those inside it, that other data follow, where it has to know."""
    while method is not None:
        if hasattr(method, "begin_task"):
            method.begin_task()
        method = getattr(method, "over", None)
