"""Grid of settings whose every combination is a network, read from TOML."""

import itertools
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from landscape.training.settings import SECTIONS
from landscape.utils.names import unknown

METHOD, MODEL = "method", "model"
NAMES = {  # of axes, where the grid gives none
    "training.lr": "learning rate", "data.batch_size": "batch size",
    "training.weight_decay": "weight decay", "training.momentum": "momentum",
}  # fmt: skip
MOST = 100_000  # networks


@dataclass(frozen=True)
class Grid:
    """Axes of a grid and what all its networks share.

    task: a name. level: training loss at which every network stops. axes: values by path, as
    "training.lr", "method", or "model.hidden" for a keyword of the task's model. settings:
    overrides of all networks, by section and method. measures: settings by measure. quick: axes
    that take the place of those of the same path in a small study. model_args, data_args: keywords
    over the task's own. names: of axes.

    Raises ValueError for paths that are none, axes of one value, and a level that is not positive.
    """

    task: str
    level: float
    axes: Mapping[str, Sequence[Any]]
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    measures: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    quick: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    model_args: Mapping[str, Any] = field(default_factory=dict)
    data_args: Mapping[str, Any] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (isinstance(self.level, int | float) and 0 < self.level < math.inf):
            raise ValueError(f"`level` must be a positive loss. Got {self.level!r}.")
        for table in ("axes", "quick"):
            for path, values in getattr(self, table).items():
                _check_axis(f"{table}.{path}", path, values)
        if strange := [path for path in (*self.quick, *self.names) if path not in self.axes]:
            raise ValueError(unknown("axis of the grid", strange[0], list(self.axes)))
        if not any(len(values) > 1 for values in self.axes.values()):
            raise ValueError("`axes` must hold a setting of at least two values to correlate over.")
        if len(set(map(self.name, self.axes))) < len(self.axes):
            raise ValueError("Two of the `axes` have one name. Give them [names].")
        count = math.prod(map(len, self.axes.values()))
        if count > MOST:
            raise ValueError(f"`axes` must make at most {MOST} networks. Got {count}.")

    def name(self, path: str) -> str:
        """Name of an axis for people."""
        return self.names.get(path, NAMES.get(path, path.rpartition(".")[2].replace("_", " ")))

    @property
    def varying(self) -> dict[str, Sequence[Any]]:
        """Axes of more than one value."""
        return {path: values for path, values in self.axes.items() if len(values) > 1}

    @property
    def points(self) -> list[dict[str, Any]]:
        """Values of every network, by path."""
        combined = itertools.product(*self.axes.values())
        return [dict(zip(self.axes, values, strict=True)) for values in combined]

    def small(self) -> "Grid":
        """The grid of a quick study: `quick` over the axes, or the two ends of each."""
        ends = {path: [*v[:1], *v[1:][-1:]] for path, v in self.axes.items()}
        return replace(self, axes={**self.axes, **(self.quick or ends)}, quick={})


def grid_names() -> list[str]:
    """Tasks that have a committed grid."""
    held = files("landscape.correlation").joinpath("grids").iterdir()
    return sorted(p.name.removesuffix(".toml") for p in held if p.name.endswith(".toml"))


def read_grid(task: str | None, config: Path | None) -> Grid:
    """The grid of a file, or the committed one of a task.

    task: takes the place of the file's. Raises ValueError where neither names a grid, and for a
    file that is none, with its path.
    """
    if config is None:
        if task not in grid_names():
            asked = "No task is named" if task is None else f"There is no grid for {task!r}"
            raise ValueError(
                f"{asked}; there are grids for {', '.join(grid_names())}. Name another one, a "
                "TOML file, with --config."
            )
        text = (files("landscape.correlation") / "grids" / f"{task}.toml").read_text("utf-8")
        return Grid(**tomllib.loads(text))
    try:
        tree = tomllib.loads(config.read_text(encoding="utf-8"))
        known = [f.name for f in fields(Grid)]
        for key, value in tree.items():
            if key not in known:
                raise ValueError(unknown("entry of a grid", key, known))
            if key not in ("task", "level") and not isinstance(value, Mapping):
                raise ValueError(f"`{key}` must be a table. Got {value!r}.")
        if task is not None:
            tree["task"] = task
        if missing := [key for key in ("task", "level", "axes") if key not in tree]:
            raise ValueError(f"it has no `{missing[0]}`")
        return Grid(**tree)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{config} is not a grid: {error}") from None


def text_of(value: Any) -> str:
    """A value as text for labels, CSV and names: [16] as "16", 0.0001 as "0.0001"."""
    if isinstance(value, list | tuple):
        return "-".join(map(text_of, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _check_axis(name: str, path: str, values: Any) -> None:
    section, _, key = path.partition(".")
    if path != METHOD and (not key or section not in (*SECTIONS, MODEL)):
        raise ValueError(f"`{name}` must be method, model.KEY or a setting as training.lr.")
    if path == "training.stop_at_loss":
        raise ValueError(f"`{name}` cannot vary: all networks stop at `level`.")
    if not isinstance(values, list | tuple) or not values:
        raise ValueError(f"`{name}` must be a list of values. Got {values!r}.")
    if len(set(map(text_of, values))) < len(values):
        raise ValueError(f"`{name}` must hold different values. Got {values!r}.")
