"""What a command would do, checked and timed, before it does it: nothing is written."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch

from landscape.analysis.analyze import measure_of, measures_of
from landscape.analysis.minimum import Minimum, is_answered
from landscape.analysis.subject import BESIDE, DATA_OF, TrainTestObjective
from landscape.auditing.requirements import Requirement
from landscape.auditing.run import asked_for
from landscape.data import DataSet, batches
from landscape.data.dataset import subset
from landscape.objective.objective import Objective
from landscape.study.cell import Cell
from landscape.study.design import Design
from landscape.study.estimate import (
    Cost,
    measure_seconds,
    peak_memory,
    sample,
    thinned,
    training_cost,
)
from landscape.study.tuning import FIRST_SEED, trials
from landscape.tasks import imports
from landscape.tasks.registration import UserCode
from landscape.tasks.registry import task as find_task
from landscape.training.loop import Training
from landscape.training.run import Run, load_data
from landscape.training.settings import Settings
from landscape.training.train import ended_in, folder_of, settings_for
from landscape.utils.paths import as_path
from landscape.utils.progress import Listener, Progress, silent

Options = Mapping[str, Mapping[str, Any]]
Few = Callable[[str], tuple[Objective, float]]  # of a part of the data, as `thinned` answers


@dataclass(frozen=True)
class Part:
    """Work of one kind.

    count: how often it is still to do; kept: how often it is there already; seconds: of one.
    """

    name: str
    count: int
    kept: int
    seconds: float
    note: str = ""


@dataclass(frozen=True)
class Plan:
    """Parts one after the other, shared out over processes.

    memory: bytes, the most that trying the parts took, data and libraries included; sizes: bytes
    of weights, optimizer's state and a batch.
    """

    what: str
    folder: Path
    parts: Sequence[Part]
    processes: int = 1
    memory: int = 0
    sizes: Mapping[str, int] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Of all that is to do."""
        return sum(part.count * part.seconds for part in self.parts) / self.processes


def of_training(
    task: str,
    method: str,
    seed: int = 0,
    out: Path | None = None,
    *,
    settings: Options | None = None,
    data_dir: Path | None = None,
    resume: bool = False,
    progress: Listener = silent,
) -> Plan:
    """What `landscape.train` would do with these arguments. Raises what it would raise."""
    chosen = settings_for(task, method, seed, settings or {})
    path = folder_of(task, method, seed, out)
    found, what = find_task(task), f"train {method} on {task}, seed {seed}"
    dataset = load_data(found, data_dir)
    if ended_in(path, chosen, resume=resume):
        return Plan(what, path, [Part(f"train {method}", 0, 1, 0.0)])
    progress(Progress("plan", f"{method}, seed {seed}", 0, 1))
    cost, _ = _tried(chosen, dataset, found.measured_at_once)
    part = Part(f"train {method}", 1, 0, cost.seconds, _words(cost))
    epoch = Run(path).status["epoch"] if (path / "settings.json").exists() else 0
    if epoch:
        left = max(0.0, 1 - epoch / chosen.training.epochs)
        part = replace(part, seconds=left * cost.seconds, note=f"{part.note}; from epoch {epoch}")
    progress(Progress("plan", f"{method}, seed {seed}", 1, 1))
    return Plan(what, path, [part], 1, peak_memory(), _sizes(cost))


def of_study(design: Design, progress: Listener = silent) -> Plan:
    """What `landscape.compare` would do; measures are tried on a network that is barely trained."""
    dataset = load_data(find_task(design.task), as_path(design.data_dir))
    overrides, _ = design.overrides({})
    first_seed = max(FIRST_SEED, design.seeds)
    tuning = trials(design.untuned, design.grid, design.tune_seeds, first_seed)
    cells = design.cells(overrides)
    names = [*(f"train {method}" for method in overrides), *design.asked]
    parts, costs, network = list[Part](), list[Cost](), None
    with _threads_of(design.processes):
        for method, own in overrides.items():
            progress(Progress("plan", f"train {method}", len(costs), len(names)))
            chosen = settings_for(design.task, method, 0, own)
            cost, training = _tried(chosen, dataset, design.measured)
            network = network or training
            costs.append(cost)
            mine = [cell for cell, _ in tuning if cell.method == method]
            if mine:
                parts.append(_trained(f"tune {method}", mine, cost, unknown=False))
            mine = [cell for cell in cells if cell.method == method]
            parts.append(_trained(f"train {method}", mine, cost, unknown=bool(tuning)))
        assert network is not None
        few = _few_of(design, network)
        done = len(overrides)
        for i, name in enumerate(design.asked):
            progress(Progress("plan", name, done + i, len(names)))
            parts.append(_measured(name, design, cells, few, unknown=bool(tuning)))
    what = f"compare {len(overrides)} methods × {design.seeds} seeds on {design.task}"
    return Plan(what, design.path, parts, design.processes, peak_memory(), _sizes(*costs))


def of_analysis(
    minima: Sequence[Minimum],
    names: Sequence[str] | None = None,
    *,
    force: bool = False,
    options: Options | None = None,
    to: Minimum | None = None,
    progress: Listener = silent,
) -> Plan:
    """What `analyze` would do with each of the minima; each measure is tried on the first one that
    lacks it. Raises what it would raise.
    """
    found: dict[str, Part] = {}
    runs = [minimum.run for minimum in minima if minimum.run is not None]
    for i, minimum in enumerate(minima):
        few = cache(lambda which, at=minimum: thinned(at.objectives.on(which)))
        for name, measure in measures_of(minimum, names, options or {}, runs, to).items():
            progress(Progress("plan", f"{minimum.folder}: {name}", i, len(minima)))
            there = minimum.is_answered(name, measure)
            part = found.get(name, Part(name, 0, 0, 0.0))
            if there and not force:
                found[name] = replace(part, kept=part.kept + 1)
                continue
            seconds = part.seconds or _seconds(name, measure, few)
            found[name] = replace(part, count=part.count + 1, seconds=seconds)
    kind = "run" if runs else "checkpoint"
    what = f"analyze {len(minima)} {kind}{'s' if len(minima) > 1 else ''}"
    return Plan(what, minima[-1].folder / "records", list(found.values()), 1, peak_memory())


def of_audit(
    objectives: TrainTestObjective,
    requirements: Sequence[Requirement],
    folder: Path,
    *,
    baseline: TrainTestObjective | None = None,
    options: Options | None = None,
    progress: Listener = silent,
) -> Plan:
    """What `landscape.audit` would ask of a checkpoint, and of its baseline."""
    asked = asked_for(requirements, options or {}, compared=baseline is not None)
    count = 1 if baseline is None else 2
    parts, few = [], cache(thinned)
    for i, (name, measure) in enumerate(asked.items()):
        progress(Progress("plan", name, i, len(asked)))
        objective, times = few(objectives.objective(name))
        seconds = times * measure_seconds(measure, objective)
        parts.append(Part(name, count, 0, seconds))
    weights = objectives.w
    sizes = {"weights": weights.numel() * weights.element_size()}
    return Plan("audit", folder, parts, 1, peak_memory(), sizes)


def _tried(settings: Settings, dataset: DataSet, examples: int) -> tuple[Cost, Training]:
    with imports.errors_attributed_to(UserCode(**settings.own).task_names):
        training = Training(settings, find_task(settings.task), sample(dataset, settings, examples))
    return training_cost(training, dataset), training


def _trained(name: str, cells: Sequence[Cell], cost: Cost, *, unknown: bool) -> Part:
    """unknown: folders depend on what tuning will choose, so nothing can be known to be there."""
    kept = 0 if unknown else sum(_has_ended(cell) for cell in cells)
    return Part(name, len(cells) - kept, kept, cost.seconds, _words(cost))


def _measured(name: str, design: Design, cells: Sequence[Cell], few: Few, *, unknown: bool) -> Part:
    measure = measure_of(find_task(design.task), name, design.options)
    mine = [cell for cell in cells if name in cell.measures]
    paths = [] if unknown else [cell.path / "records" / f"{name}.nc" for cell in mine]
    kept = sum(is_answered(p, measure, design.measured, design.batch_norm) for p in paths)
    seconds = _seconds(name, measure, few) if kept < len(mine) else 0.0
    return Part(name, len(mine) - kept, kept, seconds)


def _few_of(design: Design, tried: Training) -> Few:
    """The parts of the data for a study's measures, around a network that was tried."""
    task = find_task(design.task)

    @cache
    def few(which: str) -> tuple[Objective, float]:
        part = subset(tried.train if which == "train" else tried.test, design.measured)
        pieces = batches(part, task.measured_at_once)
        return thinned(
            Objective(tried.model, pieces, task.plain_loss, batch_norm=design.batch_norm)
        )

    return few


def _seconds(name: str, measure: Any, few: Few) -> float:
    objective, times = few(DATA_OF[name])
    extra = {"other": few(BESIDE[name])[0]} if name in BESIDE else {}
    return times * measure_seconds(measure, objective, **extra)


def _has_ended(cell: Cell) -> bool:
    there = (cell.path / "settings.json").exists()
    return there and Run(cell.path).status["state"] in ("finished", "diverged")


def _words(cost: Cost) -> str:
    return f"{cost.passes:.4g} passes a step, {cost.steps} steps of {1000 * cost.step:.3g} ms"


def _sizes(*costs: Cost) -> dict[str, int]:
    return {
        "weights": max(cost.weights for cost in costs),
        "optimizer's state": max(cost.optimizer for cost in costs),
        "a batch": max(cost.batch for cost in costs),
    }


@contextmanager
def _threads_of(processes: int) -> Iterator[None]:
    """As many threads as each of the processes will have."""
    kept = torch.get_num_threads()
    if processes > 1:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(kept)
