"""Plans of commands: checked and counted at once, then timed by one step; nothing is written."""

import math
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from landscape.analysis.analyze import measure_of, measures_of
from landscape.analysis.minimum import Minimum, is_answered
from landscape.analysis.subject import BESIDE, DATA_OF, TrainTestObjective
from landscape.auditing.requirements import Requirement
from landscape.auditing.run import asked_for
from landscape.data import DataSet, batches
from landscape.network.batch import Batch, tensors
from landscape.objective.objective import Objective
from landscape.study.design import Design
from landscape.study.tuning import FIRST_SEED, trials
from landscape.tasks import imports
from landscape.tasks.registration import UserCode
from landscape.tasks.registry import task as find_task
from landscape.training.loop import EVALUATED, Training
from landscape.training.run import Run, has_ended, load_data
from landscape.training.settings import Settings
from landscape.training.train import ended_in, folder_of, settings_for
from landscape.utils.paths import as_path

Options = Mapping[str, Mapping[str, Any]]
FEW, SOON, REPEATS = 8, 1.0, 5  # examples of the first step; seconds of a quick one; its trials
FORWARD, PRODUCT, LOOK = 0.25, 2.0, 40.0  # a value, a curvature product, a look, in gradients
GRADIENTS: dict[str, Callable[[Any], float]] = {  # of a measure; typical where it may end early
    "eigenvalues": lambda m: PRODUCT * 4 * (m.k + 1),
    "trace": lambda m: PRODUCT * m.max_hvps / 2,
    "spectral_density": lambda m: PRODUCT * m.probes * m.steps,
    "relative_flatness": lambda m: PRODUCT * m.draws / 2,
    "noise": lambda m: FORWARD * len(m.sigmas) * m.draws,
    "quantization": lambda m: FORWARD * len(m.bits) * len(m.granularity),
    "pruning": lambda m: FORWARD * len(m.fractions),
    "worst_case": lambda m: len(m.radii) * m.steps * (m.restarts + 1),
    "sharpness": lambda m: len(m.radii) * m.steps * (m.restarts + 1),
    "surface": lambda m: FORWARD * float(np.prod(np.broadcast_to(m.size, 2))),
    "profile": lambda m: FORWARD * m.lines * m.size,
    "path": lambda m: FORWARD * m.size,
}


@dataclass(frozen=True)
class Part:
    """Work of one kind, `count` times to do and `kept` times there; cost: seconds, a note."""

    name: str
    count: int
    kept: int
    cost: Callable[[], tuple[float, str]]
    seconds: float = math.nan
    note: str = ""


@dataclass(frozen=True)
class Plan:
    """Parts one after the other, shared out over processes; sizes: bytes, by what takes them."""

    what: str
    folder: Path
    parts: Sequence[Part]
    measure_sizes: Callable[[], dict[str, int]]
    processes: int = 1
    sizes: Mapping[str, int] = field(default_factory=dict)
    memory: int = 0  # bytes that timing took at most, libraries included; 0 where unknown

    @property
    def seconds(self) -> float:
        """Seconds of all that is to do."""
        return sum(part.count * part.seconds for part in self.parts) / self.processes

    def timed(self) -> "Plan":
        """The plan with times, taken with as many threads as each process will have."""
        threads = torch.get_num_threads()
        torch.set_num_threads(1 if self.processes > 1 else threads)
        try:
            costs = [part.cost() if part.count else (0.0, "") for part in self.parts]
        finally:
            torch.set_num_threads(threads)
        parts = [replace(p, seconds=s, note=n) for p, (s, n) in zip(self.parts, costs, strict=True)]
        return replace(self, parts=parts, sizes=self.measure_sizes(), memory=peak_memory())


def of_training(
    task: str,
    method: str,
    seed: int = 0,
    out: Path | None = None,
    *,
    settings: Options | None = None,
    data_dir: Path | None = None,
    resume: bool = False,
) -> Plan:
    """Plan `landscape.train` with these arguments. Raises what it would raise."""
    chosen = settings_for(task, method, seed, settings or {})
    path = folder_of(task, method, seed, out)
    sampled = _Sampled(chosen, load_data(find_task(task), data_dir))
    ended = ended_in(path, chosen, resume=resume) is not None
    epoch = Run(path).status["epoch"] if (path / "settings.json").exists() else 0
    part = Part(f"train {method}", 1 - ended, int(ended), partial(sampled.cost, epoch))
    return Plan(f"train {method} on {task}, seed {seed}", path, [part], sampled.sizes)


def of_study(design: Design) -> Plan:
    """Plan `landscape.compare`. What tuning will choose is unknown, so no run counts as there."""
    task, overrides = find_task(design.task), design.overrides({})[0]
    dataset, cells = load_data(task, as_path(design.data_dir)), design.cells(overrides)
    first_seed = max(FIRST_SEED, design.seeds)
    tuning = trials(design.untuned, design.grid, design.tune_seeds, first_seed)
    sampled = {
        method: _Sampled(settings_for(design.task, method, 0, own), dataset)
        for method, own in overrides.items()
    }
    parts = []
    for method, sample in sampled.items():
        tried = [cell for cell, _ in tuning if cell.method == method]
        trained = [cell for cell in cells if cell.method == method]
        for verb, mine, unknown in (("tune", tried, False), ("train", trained, bool(tuning))):
            kept = 0 if unknown else sum(has_ended(cell.path) for cell in mine)
            part = Part(f"{verb} {method}", len(mine) - kept, kept, sample.cost)
            parts += [part] * bool(mine)
    first = next(iter(sampled.values()))

    @cache
    def seconds(split: str) -> float:
        pieces = batches(first.part(split, design.measured), task.measured_at_once)
        model, policy = first.training.model, design.batch_norm
        return _gradient(Objective(model, pieces, task.plain_loss, batch_norm=policy))

    for name in design.asked:
        measure = measure_of(task, name, design.options)
        mine = [cell for cell in cells if name in cell.measures]
        paths = [] if tuning else [cell.path / "records" / f"{name}.nc" for cell in mine]
        kept = sum(is_answered(p, measure, design.measured, design.batch_norm) for p in paths)
        cost = partial(_measure_cost, name, measure, seconds)
        parts.append(Part(name, len(mine) - kept, kept, cost))
    what = f"compare {len(overrides)} methods × {design.seeds} seeds on {design.task}"
    return Plan(what, design.path, parts, first.sizes, design.processes)


def of_analysis(
    minima: Sequence[Minimum],
    names: Sequence[str] | None = None,
    *,
    force: bool = False,
    options: Options | None = None,
    to: Minimum | None = None,
) -> Plan:
    """Plan `landscape.analyze` of each of the minima. Raises what it would raise."""
    parts = dict[str, Part]()
    runs = [minimum.run for minimum in minima if minimum.run is not None]
    for minimum in minima:
        seconds = cache(lambda split, at=minimum: _gradient(at.objectives.on(split)))
        for name, measure in measures_of(minimum, names, options or {}, runs, to).items():
            there = not force and minimum.is_answered(name, measure)
            cost = partial(_measure_cost, name, measure, seconds)
            part = parts.get(name) or Part(name, 0, 0, cost)
            parts[name] = replace(part, count=part.count + (not there), kept=part.kept + there)
    what = f"analyze {len(minima)} {'run' if runs else 'checkpoint'}{'s' * (len(minima) > 1)}"
    last = minima[-1]

    def sizes() -> dict[str, int]:
        return {"weights": _bytes([last.objectives.w])}

    return Plan(what, last.folder / "records", list(parts.values()), sizes)


def of_audit(
    objectives: TrainTestObjective,
    requirements: Sequence[Requirement],
    folder: Path,
    *,
    baseline: TrainTestObjective | None = None,
    options: Options | None = None,
) -> Plan:
    """Plan `landscape.audit` of a checkpoint, and of its baseline."""
    asked = asked_for(requirements, options or {}, compared=baseline is not None)
    seconds = cache(lambda split: _gradient(objectives.on(split)))
    parts = [
        Part(name, 1 + (baseline is not None), 0, partial(_measure_cost, name, measure, seconds))
        for name, measure in asked.items()
    ]
    return Plan("audit", folder, parts, lambda: {"weights": _bytes([objectives.w])})


class _Sampled:
    """A training on a few examples of its data, to time a step."""

    def __init__(self, settings: Settings, dataset: DataSet):
        self.settings, self.dataset = settings, dataset
        self.task = find_task(settings.task)

    @cached_property
    def training(self) -> Training:
        """The training; each split holds a few examples, for it evaluates the network on them."""
        d, held_out = self.dataset, self.settings.data.held_out
        n = math.ceil(FEW / min(held_out or 1.0, 1 - held_out)) + 1
        few = replace(
            d, train_x=d.train_x[:n], train_y=d.train_y[:n], test_x=d.test_x[:FEW],
            test_y=d.test_y[:FEW], fingerprint="a sample",
        )  # fmt: skip
        with imports.errors_attributed_to(UserCode(**self.settings.own).task_names):
            return Training(self.settings, self.task, few)

    def part(self, split: str, examples: int) -> Batch:
        """The first examples of a split."""
        x, y = (getattr(self.dataset, f"{split}_{name}") for name in "xy")
        return Batch(x[:examples], y[:examples]).to(self.training.device)

    def cost(self, epoch: int = 0) -> tuple[float, str]:
        """Seconds of the whole training from an epoch on, metrics and looks included; a note."""
        run, t, total = self.training, self.settings.training, len(self.dataset.train_x)
        kept = total - round(self.settings.data.held_out * total)
        size = min(self.settings.data.batch_size, kept)
        batch, _ = self.part("train", size), next(run.epoch_batches())  # which feeds side data
        each = _seconds(lambda rows: run.step(batch.rows(slice(rows))).item(), size)
        passes, per_epoch = run.walker.grad_evals / run.steps, kept // size
        steps = t.epochs * per_epoch
        if t.budget == "grad-evals":
            steps = math.ceil(2 * steps / passes)
        seen = min(kept, EVALUATED) + total - kept + len(self.dataset.test_x)
        others = (1 + steps / per_epoch) * seen * FORWARD
        if t.measure_every:
            others += (1 + steps / t.measure_every) * LOOK * min(kept, t.measure_examples)
        seconds = each * (steps * size + others / passes) * max(0.0, 1 - epoch / t.epochs)
        note = f"{passes:.4g} passes a step, {steps} steps of {1000 * each * size:.3g} ms"
        return seconds, f"{note}; from epoch {epoch}" if epoch else note

    def sizes(self) -> dict[str, int]:
        """Bytes of the weights, the optimizer's state and a batch."""
        state = [v for one in self.training.optimizer.state.values() for v in one.values()]
        batch = self.part("train", self.settings.data.batch_size)
        return {
            "weights": _bytes(self.training.model.state_dict().values()),
            "optimizer's state": _bytes(v for v in state if isinstance(v, torch.Tensor)),
            "a batch": _bytes([*tensors(batch.x), *tensors(batch.y)]),
        }


def _measure_cost(name: str, measure: Any, seconds: Callable[[str], float]) -> tuple[float, str]:
    """Seconds of a measure on its split, and on the other one where it looks at both."""
    gradients, splits = GRADIENTS[name](measure), [DATA_OF[name], *BESIDE.get(name, "").split()]
    return gradients * sum(seconds(split) for split in splits), ""


def _gradient(objective: Objective) -> float:
    """Seconds of a gradient over all examples, from one over a part of the first batch."""
    first = objective.given[0]

    def gradient(rows: int) -> None:
        batch, policy = first.rows(slice(rows)), objective.batch_norm
        Objective(objective.model, [batch], objective.loss, logits=objective.logits,
                  batch_norm=policy).grad()  # fmt: skip

    return objective.examples * _seconds(gradient, first.size)


def _seconds(step: Callable[[int], object], size: int) -> float:
    """Seconds per example of a step, which takes a number of rows; on a whole batch if quick."""
    few = min(FEW, size)

    def quickest(rows: int) -> float:
        times: list[float] = []
        while sum(times) < SOON and len(times) < REPEATS:
            started = time.perf_counter()
            step(rows)
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            times.append(time.perf_counter() - started)
        return min(times) / rows

    step(few)  # what the first step sets up is not paid again
    each = quickest(few)
    return quickest(size) if each * size < SOON else each


def peak_memory() -> int:
    """Bytes that this process, or its part of the CUDA device, has held at most; 0: unknown."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return int(torch.cuda.max_memory_allocated())
    if sys.platform == "win32":
        return 0
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * unit


def _bytes(found: Iterable[torch.Tensor]) -> int:
    return sum(t.numel() * t.element_size() for t in found)
