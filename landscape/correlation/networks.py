"""Networks of a grid as cells of a study: each a task, settings and a folder of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from landscape.correlation.grid import METHOD, MODEL, Grid, text_of
from landscape.study.cell import Cell, cell_folder
from landscape.study.tuning import applied
from landscape.tasks.registration import UserCode, canonical_method, register
from landscape.tasks.registry import task as find_task
from landscape.training.base_optimizer import check_fits
from landscape.training.settings import Settings
from landscape.training.train import settings_for

MEASURES = ("eigenvalues", "trace", "relative_flatness", "sharpness", "noise")


@dataclass(frozen=True)
class Network:
    """Network of a grid: its values by path, its seed, and the cell that trains it."""

    values: Mapping[str, Any]
    seed: int
    cell: Cell


def networks_of(grid: Grid, folder: Path, seeds: int, data_dir: Path | None) -> list[Network]:
    """Every network of the grid with every seed; a task is registered for each model and data.

    Raises ValueError for settings that do not exist or hold, before anything is trained.
    """
    made = [
        Network(values, seed, _cell(grid, values, seed, folder, data_dir))
        for seed in range(seeds)
        for values in grid.points
    ]
    if len({network.cell.path for network in made}) < len(made):
        raise ValueError("Two networks of the grid have the same settings: an axis has no effect.")
    return made


def _cell(
    grid: Grid, values: Mapping[str, Any], seed: int, folder: Path, data_dir: Path | None
) -> Cell:
    method = canonical_method(str(values.get(METHOD, "sgd")))
    task = _task(grid, values)
    varied = {path: v for path, v in values.items() if path != METHOD and not _of_model(path)}
    level = {"training.stop_at_loss": float(grid.level)}
    overrides = applied(applied(grid.settings, varied), level)
    settings = settings_for(task, method, seed, overrides)
    check_fits(settings)
    said = [f"{grid.name(path)} {text_of(values[path])}" for path in grid.varying]
    return Cell(
        task, method, seed, cell_folder(folder / "runs", settings), overrides, MEASURES,
        grid.measures, find_task(task).examples(None), "stored", data_dir,
        title=", ".join([*said, f"seed {seed}"]), own=UserCode(**settings.own),
        after=_measured_after(settings),
    )  # fmt: skip


def _measured_after(settings: Settings) -> int | None:
    """Task of a sequence after which a network is measured: the first, whose forgetting is asked.

    Raises ValueError for a sequence of one task.
    """
    if settings.lifelong is None:
        return None
    if settings.lifelong.tasks < 2:
        raise ValueError(
            "`lifelong.tasks` must be at least 2: the first task is forgotten by learning others. "
            f"Got {settings.lifelong.tasks}."
        )
    return 1


def _task(grid: Grid, values: Mapping[str, Any]) -> str:
    """Name of the task with the network and the data of this point of the grid."""
    base = find_task(grid.task)
    of_axes = {path.partition(".")[2]: v for path, v in values.items() if _of_model(path)}
    model_args, data_args = {**grid.model_args, **of_axes}, dict(grid.data_args)
    if not (model_args or data_args):
        return base.name
    said = [f"{key}-{text_of(value)}" for key, value in {**data_args, **model_args}.items()]
    fields = {
        **vars(base),
        "name": "-".join([base.name, *said]),
        "model_settings": {**base.model_settings, **model_args},
        "data_settings": {**base.data_settings, **data_args},
    }
    register(UserCode(task=fields))
    return str(fields["name"])


def _of_model(path: str) -> bool:
    return path.partition(".")[0] == MODEL
