"""Training loop in memory: network, walker, method, schedule, metrics. Writes no files."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from landscape.data import DataSet
from landscape.methods import requirements
from landscape.methods.walker.walker import Walker
from landscape.network.batch import Batch, LossFn
from landscape.tasks.registry import Task
from landscape.training import tables
from landscape.training.base_optimizer import base_optimizer
from landscape.training.checkpoint import clone
from landscape.training.compilation.trial import EAGER, compilation_of
from landscape.training.monitor import sharpness_monitor
from landscape.training.schedule import Rates
from landscape.training.settings import Settings
from landscape.training.stage import Stage, training_loss, whole
from landscape.training.stopping import at_loss
from landscape.training.streams import EpochStreams
from landscape.utils import interrupt
from landscape.utils.device import device_of
from landscape.utils.rng import seed_of

CHECK_EVERY = 50  # steps between two looks whether the loss is still finite


class Diverged(Exception):
    """The loss or the weights are no longer finite."""


@dataclass
class Partial:
    """The steps of an epoch that is not whole yet.

    start: the boundary before it. losses, logs: of each step; seconds: that they took. held_out,
    fresh: how many batches of the side streams they used.
    """

    start: dict[str, Any]
    losses: list[Tensor] = field(default_factory=list)
    logs: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    held_out: int = 0
    fresh: int = 0


class Training:
    """Train epoch by epoch; `boundary` and `restore` carry everything between two steps.

    Randomness: initialisation from (seed, "init"); order and augmentation from (seed, "order",
    epoch); held-out and fresh streams alike; dropout from (seed, step, pass). So no state of a
    generator is kept: an epoch that goes on in its middle draws its batches again, unused.

    stage: what it works on, default a new network on the whole data set.
    """

    def __init__(
        self, settings: Settings, task: Task, dataset: DataSet, stage: Stage | None = None
    ):
        self.settings = settings
        self.plain_loss, self.score = task.plain_loss, task.score.name
        self.device = device_of(settings.training.device)
        self.stage = stage or whole(settings, task, dataset)
        self.model, self.method = self.stage.model, self.stage.method
        self.drawn = self.stage.drawn
        self.examples = self.stage.examples
        requirements.check_model(self.method, self.model)
        self.optimizer = base_optimizer(self.model, settings, self.method)
        rates = [group["lr"] * self.stage.rate for group in self.optimizer.param_groups]
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["initial_lr"] = rate  # as torch's schedulers keep it
        self.rates = Rates(settings.training, rates, self._steps_in_epochs)
        self.walker = self._walker(
            training_loss(task.plain_loss, settings.training.label_smoothing),
            seed=seed_of(settings.seed, "passes"),
            same_mask=settings.training.same_mask,
            autocast=torch.bfloat16 if settings.training.precision == "bf16" else None,
            max_grad_norm=settings.training.max_grad_norm,
        )
        train, size = self.examples.train, self.examples.size
        self.compilation = EAGER
        if settings.training.compile:
            first = train.rows(slice(size))
            self.compilation = compilation_of(self.walker, self.method, first)
        self.monitor = sharpness_monitor(
            settings, task, train, size, self.model, self.method, self.optimizer
        )
        self.looks: list[dict[str, float]] = []
        self._streams: EpochStreams | None = None  # of the epoch that is being trained
        self.epoch, self.steps, self.seconds = 0, 0, 0.0
        self.partial: Partial | None = None  # of the epoch that is being trained
        self.stop: at_loss.Stop | None = None  # where the level of `stop_at_loss` was met
        self.rows: list[dict[str, float]] = [self._row({})] if self.stage.begins else []
        if settings.training.stop_at_loss is not None:
            at_loss.check_model(self.model)
            if self.stage.begins:
                self.check_above_level("at the start")

    @property
    def budget(self) -> float:
        """Budget: steps, or gradient evaluations."""
        steps = self._steps_in_epochs
        return 2.0 * steps if self._counts_grad_evals else float(steps)

    @property
    def _steps_in_epochs(self) -> int:
        return self.settings.training.epochs * self.examples.steps_per_epoch

    @property
    def spent(self) -> float:
        """Share of the budget that is gone."""
        used = self.walker.grad_evals if self._counts_grad_evals else self.steps
        return min(1.0, used / self.budget)

    @property
    def done(self) -> bool:
        """Test whether the budget is used up, or the loss has met the level to stop at."""
        return self.stop is not None or self.spent >= 1.0 - 1e-9

    def outcome(self) -> dict[str, Any]:
        """Entry of status.json: whether the level of `stop_at_loss` was met, where one is set."""
        if self.settings.training.stop_at_loss is None:
            return {}
        met = vars(self.stop) if self.stop else {}
        return {"stop_at_loss": {"met": self.stop is not None, **met}}

    def describe(self) -> dict[str, Any]:
        """Facts about the run that its environment.json keeps beside the machine's."""
        looks = {"sharpness": self.monitor.where()} if self.monitor else {}
        return {**looks, **self.compilation.describe()}

    def run_epoch(self) -> Iterator[float]:
        """Train for an epoch, or until the budget ends; yields the share spent after each step, and
        after each look.

        Raises Diverged, with the model at its last finite boundary.
        """
        if self.partial is None:
            self.partial = Partial(start=self.boundary())
        partial = self.partial
        try:
            for batch in self.epoch_batches():
                if self._look_is_due:
                    self._look(self.rates(self.spent)[0])
                    yield self.spent
                started = time.perf_counter()
                partial.losses.append(self.step(batch))
                partial.logs.append(dict(self.walker.logged))
                if len(partial.losses) % CHECK_EVERY == 0:
                    _check_finite(torch.stack(partial.losses[-CHECK_EVERY:]))
                partial.seconds += time.perf_counter() - started
                yield self.spent
            started = time.perf_counter()
            _check_finite(torch.stack(partial.losses), self.walker.w)
            partial.seconds += time.perf_counter() - started
        except Diverged:
            self.restore({**partial.start, "looks": self.looks})
            raise
        self.partial = None
        self._end_epoch(partial)

    def _end_epoch(self, partial: "Partial") -> None:
        self.epoch += 1
        self.seconds += partial.seconds
        self._stop_where_met(partial.start["model"])
        rate = len(partial.losses) * self.examples.size / max(partial.seconds, 1e-9)
        running = torch.stack(partial.losses).mean().item()
        means = {"running_loss": running, "examples_per_second": rate, **tables.means(partial.logs)}
        every = self.settings.training.evaluate_every
        if self.done or (every and self.epoch % every == 0):
            self.rows.append(self._row(means))
        if self.done:
            self._look(self.optimizer.param_groups[0]["lr"])

    def _stop_where_met(self, before: dict[str, Tensor]) -> None:
        """Go back along the epoch to the level of `stop_at_loss`, where its end lies below it."""
        level = self.settings.training.stop_at_loss
        if level is not None and self.loss_at_hand() <= level:
            self.stop = at_loss.stop_between(self.model, before, level, self.loss_at_hand)

    def loss_at_hand(self) -> float:
        """Plain training loss on the stage's own examples: of a sequence, those of this task."""
        groups = self.stage.evaluated["train"][-1:]
        return self.stage.evaluate.mean("train", groups, self.plain_loss)[0]

    def check_above_level(self, when: str) -> None:
        """Raise ValueError where no step is needed to come down to the level of `stop_at_loss`."""
        level = self.settings.training.stop_at_loss
        if level is not None:
            at_loss.check_start(self.loss_at_hand(), level, when)

    def boundary(self) -> dict[str, Any]:
        """Everything that the next steps depend on, copied. Between two steps only."""
        drawn = self._streams.drawn if self._streams else {}
        partial = self.partial and vars(self.partial) | drawn
        return clone(
            {
                "partial": partial,
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "method": _method_state(self.method),
                "epoch": self.epoch,
                "steps": self.steps,
                "step_index": self.walker.step_index,
                "grad_evals": self.walker.grad_evals,
                "passes": self.walker.passes,
                "seconds": self.seconds,
                "rows": self.rows,
                "looks": self.looks,
                "stop": self.stop and vars(self.stop),
            }
        )

    def restore(self, boundary: dict[str, Any]) -> None:
        """Stand where `boundary` was taken."""
        state = clone(boundary)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if state["method"]:
            self.method.load_state_dict(state["method"])
        self.epoch, self.steps, self.rows = state["epoch"], state["steps"], state["rows"]
        self.walker.step_index, self.seconds = state["step_index"], state["seconds"]
        self.walker.grad_evals, self.walker.passes = state["grad_evals"], state["passes"]
        self.looks = state.get("looks", [])  # checkpoints of older programs have none
        stop, partial = state.get("stop"), state.get("partial")  # nor these
        self.stop = at_loss.Stop(**stop) if stop else None
        if partial:  # a checkpoint is read onto the CPU
            partial["losses"] = [loss.to(self.walker.device) for loss in partial["losses"]]
        self.partial = Partial(**partial) if partial else None

    @property
    def _counts_grad_evals(self) -> bool:
        return self.settings.training.budget == "grad-evals"

    def step(self, batch: Batch) -> Tensor:
        """Make one step of the method at the scheduled learning rate; return its loss, shape ()."""
        rates = self.rates(self.spent)
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        with self.compilation.opened():
            self.method.step(self.walker, self._begun(batch))
        self.steps += 1
        return self.walker.step_loss

    def check_interrupt(self) -> None:
        """Raise KeyboardInterrupt where a stop was asked for."""
        interrupt.check()

    def _walker(self, loss: LossFn, **options: Any) -> Walker:
        return Walker(self.model, self.optimizer, loss, **options)

    def _begun(self, batch: Batch) -> Batch:
        """Begin a step on a batch; return what the method gets of it."""
        self.walker.begin(batch.size)
        return batch

    def _side(self, stream: Iterable[Batch]) -> Iterable[Batch]:
        """Held-out or fresh batches as the method gets them."""
        return stream

    @property
    def _look_is_due(self) -> bool:
        """Test whether the monitor looks before the next step: not twice after an interruption."""
        if self.monitor is None or self.steps % self.monitor.every:
            return False
        return not self.looks or self.looks[-1]["step"] != self.steps

    def _look(self, lr: float) -> None:
        if self.monitor:
            epoch = self.steps / self.examples.steps_per_epoch
            self.looks.append({"step": float(self.steps), "epoch": epoch, **self.monitor(lr)})

    def epoch_batches(self) -> Iterator[Batch]:
        """The batches of an epoch, augmented, until the budget ends; side data fed beside them."""
        streams = EpochStreams(self.examples, self.stage.augment, self.settings.seed, self.epoch)
        held_out = streams.held_out and self._side(streams.held_out)
        self.walker.feed(held_out, iter(self._side(streams.fresh)))
        self._streams, steps = streams, streams.steps()
        if self.partial:
            self._skip(self.partial, steps)
        for batch in steps:
            if self.done:
                return
            yield batch

    def _skip(self, partial: "Partial", steps: Iterator[Batch]) -> None:
        """Draw again what the first steps of a partly trained epoch have used."""
        for _ in partial.losses:
            next(steps)
        for _ in range(partial.held_out):
            self.walker.held_out()
        for _ in range(partial.fresh):
            self.walker.fresh()

    def _row(self, measured: dict[str, float]) -> dict[str, float]:
        """Row of metrics at the current point."""
        row = {"epoch": float(self.epoch), "step": float(self.steps)}
        row |= self.stage.metrics(self.plain_loss, self.settings.data.label_noise)
        return row | {
            "learning_rate": self.optimizer.param_groups[0]["lr"],
            "grad_evals": self.walker.grad_evals,
            "passes": float(self.walker.passes),
            "seconds": self.seconds,
            **measured,
        }


def _method_state(method: object) -> dict[str, Any]:
    return method.state_dict() if hasattr(method, "state_dict") else {}


def _check_finite(*values: Tensor) -> None:
    if not all(bool(v.isfinite().all()) for v in values):
        raise Diverged
