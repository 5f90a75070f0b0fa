"""A study of a grid: train every network to one loss, measure it, correlate, write the answers."""

import platform
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from landscape.correlation.grid import Grid, read_grid
from landscape.correlation.networks import Network, networks_of
from landscape.correlation.page import write_page
from landscape.correlation.table import table_of
from landscape.engines import Engine, engine_of
from landscape.statistics.grid_answers import GridAnswers, answers_of
from landscape.statistics.network_table import NetworkTable, read_networks
from landscape.study.pool import reasons_of_failures
from landscape.tasks.registry import TASKS
from landscape.training.run import has_ended
from landscape.utils import files
from landscape.utils.environment import environment
from landscape.utils.names import canonical
from landscape.utils.paths import PathLike, as_path, refuse_links_out
from landscape.utils.processes import check_single_process, usable_cores
from landscape.utils.progress import Listener, Progress, silent
from landscape.utils.progress_display import listening

ANSWERS, NETWORKS, EFFORT = "correlate.json", "networks.csv", "effort.json"


@dataclass(frozen=True)
class Correlated:
    """A study's folder: the answers, and the table of its networks."""

    path: Path
    answers: GridAnswers
    networks: NetworkTable


def correlate(
    task: str | None = None,
    out: PathLike | None = None,
    *,
    config: PathLike | None = None,
    quick: bool = False,
    seeds: int = 1,
    workers: int | None = None,
    engine: Engine | str = "local",
    data_dir: PathLike | None = None,
    command: str = "",
    progress: Listener | bool = silent,
) -> Correlated:
    """Ask whether flatness predicts generalisation over the networks of a grid of settings.

    Every network stops at one training loss, is measured, and enters the rank correlations; one
    that does not come down to it is left out, and listed. Over a sequence of tasks the question is
    forgetting: each task stops there, and networks are measured after the first alone. Writes
    correlate.json, networks.csv, correlate.html and figures into `out`, by default
    runs/correlate-TASK. What is finished is not done again.

    task: one with a committed grid (digits, fashion-mnist, split-digits), or any with `config`, a
    TOML file with the entries of `landscape.correlation.grid.Grid`. quick: a small part of the
    grid. seeds: how many of each network. workers, engine: as `landscape.compare` takes them.

    Raises ValueError for a grid that cannot be, before anything is trained, and where no network
    met the level.
    """
    check_single_process()
    plan = planned(task, out, config=config, quick=quick, seeds=seeds, data_dir=data_dir)
    by = engine_of(engine, workers)
    by.reach()
    with listening(progress) as tell:
        failed = _run(plan, by, tell)
        tell(Progress("report", "", 0, 1))
        table = table_of(plan.grid, plan.networks, failed)
        if not table.reached.any():
            raise ValueError(
                f"No network came down to a training loss of {plan.grid.level:g}: "
                f"{table.describe(0)}: {table.states[0]}. Change the grid."
            )
        table.write(plan.path / NETWORKS)
        answers = answers_of(table, plan.about(by, command))
        files.write_json(plan.path / ANSWERS, answers.to_dict())
        write_page(plan.path, answers, table)
        tell(Progress("report", "", 1, 1))
    return Correlated(plan.path, answers, table)


def opened(folder: PathLike) -> Correlated:
    """Read the answers and networks that `correlate` wrote; ValueError where they are not there."""
    path = as_path(folder)
    if not (path / ANSWERS).is_file():
        raise ValueError(f"{path} has no {ANSWERS}. Make it with: landscape correlate --out {path}")
    answers = GridAnswers.from_dict(files.read_object(path / ANSWERS, kind=str, answers=list))
    return Correlated(path, answers, read_networks(path / NETWORKS))


@dataclass(frozen=True)
class Plan:
    """Grid and networks of a study, nothing trained yet."""

    path: Path
    grid: Grid
    networks: list[Network]
    seeds: int
    quick: bool

    @property
    def kept(self) -> int:
        """Number of networks whose run has ended already."""
        return sum(has_ended(network.cell.path) for network in self.networks)

    def about(self, engine: Engine, command: str) -> dict[str, Any]:
        """Contents of correlate.json besides the answers."""
        first = self.networks[0].cell
        return {
            "task": self.grid.task,
            "level": self.grid.level,
            "quick": self.quick,
            "seeds": list(range(self.seeds)),
            "grid": asdict(self.grid),
            **({} if first.after is None else {"measured_after_task": first.after}),
            "examples": first.examples,
            "hours": _seconds(self.path) / 3600,
            "workers": engine.at_once(first.device),
            "machine": f"{platform.machine()}, {usable_cores()} cores",
            "environment": environment(),
            "command": command,
        }


def planned(
    task: str | None,
    out: PathLike | None = None,
    *,
    config: PathLike | None = None,
    quick: bool = False,
    seeds: int = 1,
    data_dir: PathLike | None = None,
) -> Plan:
    """The plan of a study, checked; nothing is trained or written. Raises as `correlate` does."""
    if seeds < 1:
        raise ValueError(f"`seeds` must be at least 1. Got {seeds}.")
    named = None if task is None else canonical("task", task, TASKS)
    grid = read_grid(named, as_path(config))
    grid = grid.small() if quick else grid
    path = as_path(out) if out is not None else Path("runs") / f"correlate-{grid.task}"
    refuse_links_out(path)
    return Plan(path, grid, networks_of(grid, path, seeds, as_path(data_dir)), seeds, quick)


def _run(plan: Plan, engine: Engine, progress: Listener) -> Mapping[str, str]:
    """Train and measure what is missing; reasons by label of the cells that failed.

    The time counts, that of interrupted calls too.
    """
    before, started = _seconds(plan.path), time.monotonic()
    cells = [network.cell for network in plan.networks]
    try:
        return reasons_of_failures(cells, engine, progress, plan.path)
    finally:
        seconds = before + time.monotonic() - started
        files.write_json(plan.path / EFFORT, {"seconds": seconds})


def _seconds(folder: Path) -> float:
    path = folder / EFFORT
    return float(files.read_object(path, seconds=float)["seconds"]) if path.exists() else 0.0
