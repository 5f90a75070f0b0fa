"""Cost estimate of work from a piece of it: a few steps on the real network and batch, the first
second of each measure. Nothing is written.
"""

import math
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from landscape.data import DataSet
from landscape.network.batch import Batch, tensors
from landscape.objective.objective import Objective
from landscape.tasks.registry import task as find_task
from landscape.training.loop import EVALUATED, Training, evaluate
from landscape.training.settings import Settings

ENOUGH = 1.0  # seconds of each kind of work
GRADIENT = 0.1  # seconds that one may take on the examples that a measure is tried on
FEWEST_EXAMPLES = 8
WARM_UP, FEWEST = 1, 2  # steps that are not timed, and that are timed at least


@dataclass(frozen=True)
class Cost:
    """Cost of one training.

    passes: forward and backward passes per step; step: seconds of one; steps: in all; seconds: of
    the whole training, its metrics and looks included; weights, optimizer, batch: bytes.
    """

    passes: float
    step: float
    steps: int
    seconds: float
    weights: int
    optimizer: int
    batch: int


def sample(dataset: DataSet, settings: Settings, examples: int) -> DataSet:
    """So much of a data set that its parts hold a batch each and `examples` for the measures."""
    held_out = settings.data.held_out
    size = max(settings.data.batch_size, examples)
    needed = size / (1 - held_out)
    if held_out:
        needed = max(needed, settings.data.batch_size / held_out)
    n = math.ceil(needed) + 1
    return replace(
        dataset,
        train_x=dataset.train_x[:n],
        train_y=dataset.train_y[:n],
        test_x=dataset.test_x[:examples],
        test_y=dataset.test_y[:examples],
        fingerprint="a sample",
    )


def training_cost(training: Training, whole: DataSet) -> Cost:
    """Cost of the training that `training` does on a sample of the data set `whole`.

    Takes steps, so the network moves.
    """
    before = training.walker.grad_evals
    times = timed_steps(training)
    passes = (training.walker.grad_evals - before) / (WARM_UP + len(times))
    step = sorted(times)[len(times) // 2]
    t, examples = training.settings.training, len(whole.train_x)
    kept = examples - round(training.settings.data.held_out * examples)
    per_epoch = max(1, kept // training.size)
    steps = t.epochs * per_epoch
    if t.budget == "grad-evals":
        steps = math.ceil(2 * steps / passes)
    rows = 1 + math.ceil(steps / per_epoch)
    seen = min(kept, EVALUATED) + examples - kept + len(whole.test_x)
    seconds = steps * step + rows * seen * _seconds_per_example(training)
    if training.monitor:
        look = elapsed(lambda: training.monitor and training.monitor(t.lr))
        seconds += (1 + math.ceil(steps / training.monitor.every)) * look
    state = [v for one in training.optimizer.state.values() for v in one.values()]
    batch = training.train.rows(slice(training.size))
    return Cost(
        passes, step, steps, seconds,
        weights=_bytes(training.model.state_dict().values()),
        optimizer=_bytes(v for v in state if isinstance(v, Tensor)),
        batch=_bytes([*tensors(batch.x), *tensors(batch.y)]),
    )  # fmt: skip


def timed_steps(training: Training) -> list[float]:
    """Seconds of each of the first steps after one to warm up: two at least, for a second."""
    times: list[float] = []
    first = True
    while len(times) < FEWEST or sum(times) < ENOUGH:
        for batch in training.epoch_batches():
            took = elapsed(lambda batch=batch: training.step(batch).item())  # type: ignore[misc]
            times += [] if first else [took]
            first = False
            if len(times) >= FEWEST and sum(times) >= ENOUGH:
                break
        if training.done:  # of the sample, not of the whole
            break
    return times or [took]


def thinned(objective: Objective) -> tuple[Objective, float]:
    """The objective on so few of its examples that a gradient is quick, and how many times fewer
    they are: a measure's passes cost so many times more on all of them.
    """

    def on(examples: int) -> Objective:
        first = objective.risk.given[0]
        return Objective(
            objective.model, [first.rows(slice(examples))], objective.loss,
            logits=objective.logits, batch_norm=objective.chosen_batch_norm, seed=objective.seed,
            memory=round(objective.memory * examples / objective.examples),
        )  # fmt: skip

    few = on(min(FEWEST_EXAMPLES, objective.risk.given[0].size))
    few.grad()
    per_example = elapsed(few.grad) / few.examples
    enough = max(few.examples, int(GRADIENT / per_example))
    if enough >= objective.risk.given[0].size:
        return objective, 1.0
    return on(enough), objective.examples / enough


def measure_seconds(measure: Any, objective: Objective, **extra: Any) -> float:
    """Time a measure: to its end within a second, or else extrapolated from its progress."""
    started = time.perf_counter()

    def listen(done: float, total: float) -> None:
        took = time.perf_counter() - started
        if took > ENOUGH and 0 < done < total:
            raise _Enough(took * total / done)

    try:
        measure(objective, progress=listen, **extra)
    except _Enough as enough:
        return float(enough.args[0])
    return time.perf_counter() - started


class _Enough(Exception):
    """The seconds that were to be known."""


def elapsed(work: Callable[[], object]) -> float:
    """Seconds that a call takes, on the device too."""
    started = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started


def peak_memory() -> int:
    """Bytes: the most that CUDA has held for this process, or else that this process has held; 0
    where the system does not say.
    """
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return int(torch.cuda.max_memory_allocated())
    if sys.platform == "win32":
        return 0
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * unit


def _seconds_per_example(training: Training) -> float:
    part: Batch = training.test
    loss, size = find_task(training.settings.task).plain_loss, training.evaluated_at_once
    return elapsed(lambda: evaluate(training.model, part, loss, size)) / part.size


def _bytes(found: Iterable[Tensor]) -> int:
    return sum(t.numel() * t.element_size() for t in found)
