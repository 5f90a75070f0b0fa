"""Settings chosen on held-out data: as many trials for every method, their cost counted.

A method's combinations are the product of the grids that concern it. With N combinations for the
method that has most, every method gets N·K trials: its i-th trains combination i mod c of its own c
with the (i div c)-th tuning seed. So a method with fewer combinations sees each on more seeds, and
none is trained more often than another. Test data play no part.
"""

import json
import math
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any

from landscape.data.dataset import count
from landscape.engines.engine import Engine
from landscape.study.cell import Cell, cell_folder
from landscape.study.pool import run_all
from landscape.tasks.registry import task as find_task
from landscape.training.run import Run, load_data
from landscape.training.settings import SECTIONS, check_keys, unlabelled
from landscape.training.train import settings_for
from landscape.utils import files
from landscape.utils.progress import Listener

Values = Mapping[str, Any]  # {"sam.rho": 0.1, "training.lr": 0.05}
Tree = dict[str, Any]
FIRST_SEED = 1000  # of the trials; seeds of a study count from 0
JUDGES = ("data.held_out", "data.label_noise")  # what they change is what trials are judged by


@dataclass(frozen=True)
class Trial:
    """Combination of settings, trained with one seed and judged on held-out data.

    combination: its number within the method; accuracy, loss: NaN where it diverged; grad_evals,
    seconds: what it cost, up to the last epoch that was finite.
    """

    method: str
    combination: int
    values: Values
    seed: int
    accuracy: float
    loss: float
    grad_evals: float
    seconds: float


@dataclass(frozen=True)
class Tuning:
    """All trials, and the values chosen for each method."""

    trials: Sequence[Trial]
    chosen: Mapping[str, Values]

    def to_dict(self) -> dict[str, Any]:
        """By method; its cost is the sum over its trials."""
        trials = {m: [t for t in self.trials if t.method == m] for m in self.chosen}
        return {
            method: {
                "chosen": self.chosen[method],
                "grad_evals": sum(t.grad_evals for t in tried),
                "seconds": sum(t.seconds for t in tried),
                "trials": [asdict(trial) for trial in tried],
            }
            for method, tried in trials.items()
        }


def choose(trials: Sequence[Trial]) -> Values:
    """The values of one method with the highest mean held-out accuracy over their seeds.

    Ties: the lowest mean held-out loss, then the first combination. Values that diverged with any
    seed are out.

    Raises ValueError where none is left.
    """
    by_combination: dict[int, list[Trial]] = {}
    for trial in trials:
        by_combination.setdefault(trial.combination, []).append(trial)
    finite = {
        i: tried
        for i, tried in by_combination.items()
        if all(math.isfinite(t.accuracy + t.loss) for t in tried)
    }
    if not finite:
        raise ValueError(
            f"{trials[0].method} diverged with every combination of the grid, so there is nothing "
            "to choose from. Add smaller values, of the learning rate first."
        )
    best = min(finite, key=lambda i: (-_mean(finite[i], "accuracy"), _mean(finite[i], "loss"), i))
    return finite[best][0].values


def schedule(counts: Mapping[str, int], seeds: int) -> dict[str, list[tuple[int, int]]]:
    """(combination, number of the tuning seed) of each trial, from combinations per method."""
    total = max(counts.values()) * seeds
    return {method: [(i % c, i // c) for i in range(total)] for method, c in counts.items()}


def combinations(cell: Cell, grid: Mapping[str, Sequence[Any]]) -> list[Values]:
    """The product of the grids that concern a cell's method, each outcome once.

    A grid that stronger settings hide, as sam.rho under sam@wide.rho, is left out.
    Raises ValueError for settings that do not exist or hold.
    """
    axes = {path: values for path, values in grid.items() if _concerns(path, cell.method)}
    outcomes = _outcomes(cell, axes)
    for path in [path for path, values in axes.items() if len(values) > 1]:
        fewer = {other: values for other, values in axes.items() if other != path}
        if (same := _outcomes(cell, fewer)).keys() == outcomes.keys():
            axes, outcomes = fewer, same
    return list(outcomes.values())


def applied(overrides: Mapping[str, Any], values: Values) -> Tree:
    """The overrides with each value in its place, "sam.training.lr" at ["sam"]["training"]["lr"].

    The overrides stay as they are.
    """
    tree = deepcopy(dict(overrides))
    for path, value in values.items():
        *outer, key = path.split(".")
        node = tree
        for name in outer:
            node = node.setdefault(name, {})
        node[key] = value
    return tree


def followed(values: Values, source: str, method: str, own: Mapping[str, Any]) -> Values:
    """The values that were chosen for `source`, for a variant that is not tuned itself.

    Its own section stays stronger: what that sets is not replaced. {"sam.rho": 0.1} serves sam and
    all its variants; {"sam@a.rho": 0.1} becomes {"sam@b.rho": 0.1}.
    """
    kept = {}
    for path, value in values.items():
        section, _, key = path.partition(".")
        if section == source and "@" in source:
            if key in own:
                continue
            path = f"{method}.{key}"
        kept[path] = value
    return kept


def check_pairs(tuned_as: Mapping[str, str], methods: Sequence[str]) -> None:
    """Raise ValueError where a variant follows what is not tuned itself, or is none of its kind."""
    for method, source in tuned_as.items():
        if method not in methods or source not in methods:
            missing = method if method not in methods else source
            raise ValueError(f"`tuned_as` has no effect: {missing} is not among the methods.")
        if source in tuned_as or source == method:
            raise ValueError(f"`tuned_as` needs a method that is tuned itself. Got {source}.")
        if unlabelled(method) != unlabelled(source):
            raise ValueError(f"`tuned_as` takes variants of one method. Got {method} as {source}.")


def tune(
    cells: Sequence[Cell],
    grid: Mapping[str, Sequence[Any]],
    seeds: int,
    first_seed: int,
    engine: Engine,
    progress: Listener,
) -> Tuning:
    """Train every trial, then choose. Trials that are finished are not trained again.

    cells: one per method, as it is without the grid; trials go to `tuning` beside the cell's own
    parent. grid: values by path, {"sam.rho": (0.02, 0.05), "training.lr": (0.05, 0.1)}; without
    any, nothing is trained or chosen. seeds: K, from `first_seed` on.

    Raises ValueError, before anything is trained, for a grid that cannot be; afterwards where a
    method diverged with every combination.
    """
    check(cells, grid, seeds)
    planned = trials(cells, grid, seeds, first_seed)
    if not planned:
        return Tuning([], {})
    folder = cells[0].path.parent.parent
    failures = run_all([cell for cell, _ in planned], engine, progress, folder, "tuning")
    if failures:
        raise ValueError("\n".join(f"tuning: {failure}" for failure in failures))
    options = {cell.method: combinations(cell, grid) for cell in cells}
    done = [_judged(cell, i, options[cell.method][i]) for cell, i in planned]
    chosen = {c.method: choose([t for t in done if t.method == c.method]) for c in cells}
    return Tuning(done, chosen)


def trials(
    cells: Sequence[Cell], grid: Mapping[str, Sequence[Any]], seeds: int, first_seed: int
) -> list[tuple[Cell, int]]:
    """The cell of every trial, with the number of its combination; none without a grid."""
    if not grid:
        return []
    options = {cell.method: combinations(cell, grid) for cell in cells}
    plan = schedule({method: len(values) for method, values in options.items()}, seeds)
    return [
        (_trial(cell, options[cell.method][i], first_seed + k, f"{cell.method}, trial {n}"), i)
        for cell in cells
        for n, (i, k) in enumerate(plan[cell.method], 1)
    ]


def check(cells: Sequence[Cell], grid: Mapping[str, Sequence[Any]], seeds: int) -> None:
    """Raise ValueError where a grid has no values, no effect, or no data to judge it."""
    if seeds < 1:
        raise ValueError(f"`tune_seeds` must be at least 1. Got {seeds}.")
    if seeds > 1 and not grid:
        raise ValueError(f"`tune_seeds` has no effect without `grid`. Got {seeds}.")
    for path, values in grid.items():
        if "." not in path:
            raise ValueError(f"`grid` takes section.key, as in training.lr. Got {path!r}.")
        if errors := check_keys(applied({}, {path: None})):
            raise ValueError("\n".join(errors))
        if not values:
            raise ValueError(f"`grid` needs values to try. Got none for {path}.")
        if path.endswith(JUDGES):
            raise ValueError(f"`grid` cannot hold {path}: it changes the data that judge a trial.")
        section = path.partition(".")[0]
        if not any(_concerns(path, cell.method) for cell in cells):
            raise ValueError(f"`grid` of {path} has no effect: {section} is not among the methods.")
    for cell in cells if grid else ():
        share = settings_for(cell.task, cell.method, 0, cell.overrides).data.held_out
        if round(share * count(load_data(find_task(cell.task), cell.data_dir).train_x)) < 1:
            raise ValueError(
                f"`grid` chooses on held-out data: set data.held_out above 0. Got {share}."
            )


def _outcomes(cell: Cell, axes: Mapping[str, Sequence[Any]]) -> dict[str, Values]:
    """Settings, as text, -> the first values of the product that lead to them."""
    outcomes: dict[str, Values] = {}
    for point in product(*axes.values()):
        values = dict(zip(axes, point, strict=True))
        settings = settings_for(cell.task, cell.method, 0, applied(cell.overrides, values))
        outcomes.setdefault(json.dumps(files.plain(settings.to_dict()), sort_keys=True), values)
    return outcomes


def _concerns(path: str, method: str) -> bool:
    section, parts = path.partition(".")[0], method.split("+")
    return section in (*SECTIONS, *parts, *map(unlabelled, parts))


def _trial(cell: Cell, values: Values, seed: int, title: str) -> Cell:
    """The cell of one trial, trained and not measured."""
    overrides = applied(cell.overrides, values)
    settings = settings_for(cell.task, cell.method, seed, overrides)
    return replace(
        cell,
        seed=seed,
        path=cell_folder(cell.path.parent.parent / "tuning", settings),
        overrides=overrides,
        measures=(),
        title=title,
    )


def _judged(cell: Cell, combination: int, values: Values) -> Trial:
    run = Run.open(cell.path)
    last, finite = run.metrics[-1], run.status["state"] == "finished"
    return Trial(
        cell.method,
        combination,
        values,
        cell.seed,
        accuracy=last["held_out_accuracy"] if finite else math.nan,
        loss=last["held_out_loss"] if finite else math.nan,
        grad_evals=last["grad_evals"],
        seconds=last["seconds"],
    )


def _mean(trials: Sequence[Trial], name: str) -> float:
    return sum(getattr(trial, name) for trial in trials) / len(trials)
