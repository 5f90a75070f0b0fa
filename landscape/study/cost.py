"""Rough times of trainings and measures: one timed step or gradient, multiplied by counts."""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from landscape.data import DataSet
from landscape.data.dataset import count
from landscape.network.batch import Batch
from landscape.objective.objective import Objective
from landscape.study.design import Design
from landscape.tasks import imports
from landscape.tasks.registration import UserCode
from landscape.tasks.registry import task as find_task
from landscape.training.loop import Training
from landscape.training.settings import Settings
from landscape.training.stage import EVALUATED
from landscape.utils.device import device_of

FEW, GROWTH, SLOW = 4, 8, 2.0  # a step is timed on FEW, then GROWTH times as many, up to SLOW s
FORWARD, PRODUCT, LOOK = 0.3, 2.0, 40.0  # a value, a curvature product, a look, in gradients
GRADIENTS: dict[str, Callable[[Any], float]] = {  # of a measure; typical where it may end early
    "eigenvalues": lambda m: PRODUCT * 4 * (m.k + 1),
    "trace": lambda m: PRODUCT * m.max_hvps / 2,
    "spectral_density": lambda m: PRODUCT * m.probes * m.steps,
    "relative_flatness": lambda m: PRODUCT * m.draws / 2,
    "noise": lambda m: FORWARD * len(m.sigmas) * m.draws,
    "quantization": lambda m: FORWARD * len(m.bits) * len(m.granularity),
    "pruning": lambda m: FORWARD * len(m.fractions),
    "worst_case": lambda m: (1 + FORWARD) * len(m.radii) * m.steps * (m.restarts + 1),
    "sharpness": lambda m: (1 + FORWARD) * len(m.radii) * m.steps * (m.restarts + 1),
    "rise_area": lambda m: FORWARD * m.size**2,
    "surface": lambda m: FORWARD * float(np.prod(np.broadcast_to(m.size, 2))),
    "profile": lambda m: FORWARD * m.lines * m.size,
    "path": lambda m: FORWARD * m.size,
    "critical_sharpness": lambda m: 2 + 4 * PRODUCT + FORWARD * 14,
    "adaptive_sharpness": lambda m: (
        len(m.radii) * ((1 + FORWARD) * m.steps * (m.restarts + 1) + FORWARD * m.draws)
    ),
    "pac_bayes": lambda m: 2 * FORWARD * 30 * m.draws,
    "batch_eigenvalues": lambda m: PRODUCT * 2 * 20,
    "fisher_rao": lambda m: 4 * PRODUCT,
    "calibration": lambda m: FORWARD,
}


def training_seconds(settings: Settings, dataset: DataSet) -> float:
    """Seconds of a training from its start, metrics and looks included."""
    t, total, held_out = settings.training, count(dataset.train_x), settings.data.held_out
    kept = total - round(held_out * total)
    size = min(settings.data.batch_size, kept)

    def step_on(examples: int) -> Callable[[], float]:
        """A step on so many examples, of a training whose splits hold no more; its passes."""
        n = math.ceil(examples / min(held_out or 1.0, 1 - held_out)) + 1
        train = Batch(dataset.train_x, dataset.train_y).rows(slice(n))
        test = Batch(dataset.test_x, dataset.test_y).rows(slice(examples))
        few = replace(
            dataset, train_x=train.x, train_y=train.y, test_x=test.x, test_y=test.y,
            fingerprint="few",
        )  # fmt: skip
        data = replace(settings.data, batch_size=examples)
        with imports.errors_attributed_to(UserCode(**settings.own).task_names):
            training = Training(replace(settings, data=data), find_task(settings.task), few)
        batch = next(training.epoch_batches())

        def step() -> float:
            training.step(batch).item()
            return training.walker.grad_evals / training.steps

        return step

    each, passes = _timed(step_on, size)
    if settings.lifelong and settings.lifelong.replay != "none":
        each *= 2 - 1 / settings.lifelong.tasks  # as many remembered examples as new ones
    steps = t.epochs * (kept // size) * (1 if t.budget == "epochs" else 2 / passes)
    seen = min(kept, EVALUATED) + total - kept + count(dataset.test_x)
    evaluations = 1 + (-(-t.epochs // t.evaluate_every) if t.evaluate_every else 1)
    others = FORWARD * evaluations * seen
    if t.measure_every:
        others += LOOK * (1 + steps / t.measure_every) * min(kept, t.measure_examples)
    return each * (steps + others / passes / size)


def study_gradient_seconds(design: Design, dataset: DataSet) -> float:
    """Seconds of a gradient over the examples that the measures of a study look at."""
    task = find_task(design.task)
    train = Batch(dataset.train_x, dataset.train_y)
    pieces = task.pieces(train, design.measured, design.batch_size)
    model, policy = task.build().to(device_of(design.training.device)), design.batch_norm
    return gradient_seconds(Objective(model, pieces, task.plain_loss, batch_norm=policy))


def gradient_seconds(objective: Objective) -> float:
    """Seconds of a gradient over all examples, from one over the first batch or part of it."""
    first = objective.given[0]

    def gradient_on(examples: int) -> Callable[[], object]:
        policy, few = objective.batch_norm, [first.rows(slice(examples))]
        return Objective(
            objective.model, few, objective.loss, logits=objective.logits, batch_norm=policy
        ).grad

    return _timed(gradient_on, first.size)[0] * objective.examples / first.size


def _timed(step_on: Callable[[int], Callable[[], Any]], size: int) -> tuple[float, Any]:
    """Seconds of a step on `size` examples, the second one, and its answer.

    From few examples on in small factors: a step on 4 takes nearly as long as one on 100 where the
    network is small, so that 25 times its time would be far too much.
    """
    examples = min(FEW, size)
    while True:
        step = step_on(examples)
        step()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        started = time.perf_counter()
        answer = step()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        seconds = time.perf_counter() - started
        if examples == size or GROWTH * seconds > SLOW:
            return seconds * size / examples, answer
        examples = min(GROWTH * examples, size)
