"""Design of a study: methods x seeds, the settings of each, and the folder of each run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from landscape.analysis.minimum import RESUMABLE
from landscape.engines import Engine, engine_of
from landscape.measures import MEASURES, STANDARD
from landscape.study.cell import Cell, cell_folder
from landscape.study.controls import with_controls
from landscape.study.tuning import FIRST_SEED, Values, applied, check, check_pairs, followed
from landscape.tasks.registration import UserCode, canonical_method
from landscape.tasks.registry import TASKS
from landscape.tasks.registry import task as find_task
from landscape.training.base_optimizer import check_fits
from landscape.training.run import load_data
from landscape.training.settings import Settings, TrainingSettings
from landscape.training.train import check_protocol, settings_for
from landscape.utils.names import canonical, names_of
from landscape.utils.paths import PathLike, as_path

FIRST_SEED_ONLY = (*RESUMABLE, "spectral_density")  # of every method: they are shown, not compared
LAST_SEED = 2**31 - 1  # that a record can hold
Overrides = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Design:
    """The arguments of `landscape.compare`, all checked when it is made: nothing is trained or
    written.

    Raises ValueError for unknown names and settings, FileNotFoundError for missing data.
    """

    task: str
    methods: Sequence[str]
    seeds: int = 6
    out: PathLike | None = None
    settings: Overrides = field(default_factory=dict)
    grid: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    tune_seeds: int = 1
    controls: bool = False
    workers: int | None = None
    measures: Sequence[str] | None = None
    examples: int | None = None
    batch_norm: str = "stored"
    options: Overrides = field(default_factory=dict)
    data_dir: PathLike | None = None
    engine: Engine | str = "local"
    tuned_as: Mapping[str, str] = field(default_factory=dict)
    first_seed: int = 0

    def __post_init__(self) -> None:
        self._spell_names()
        object.__setattr__(self, "engine", engine_of(self.engine, self.workers))
        if self.seeds < 1:
            raise ValueError(f"`seeds` must be at least 1. Got {self.seeds}.")
        if len(set(self.methods)) != len(self.methods) or not self.methods:
            raise ValueError(
                f"`methods` must be different names. Got {', '.join(self.methods) or 'none'}."
            )
        if not 0 <= self.first_seed <= LAST_SEED - self.seeds:
            raise ValueError(
                f"`first_seed` must lie between 0 and {LAST_SEED - self.seeds}. "
                f"Got {self.first_seed}."
            )
        check_pairs(self.tuned_as, self.methods)
        dataset = load_data(find_task(self.task), as_path(self.data_dir))
        for method, own in self.overrides({})[0].items():
            chosen = settings_for(self.task, method, 0, own)
            check_fits(chosen)
            check_protocol(chosen, dataset)
        check(self.untuned, self.grid, self.tune_seeds)

    def _spell_names(self) -> None:
        """Put names, which may be given in any case, as the registries write them."""
        asked, known = self.measures, askable()
        spelled = {
            "task": canonical("task", self.task, TASKS),
            "methods": tuple(map(canonical_method, self.methods)),
            "measures": None if asked is None else tuple(names_of("measure", asked, known)),
            "options": {canonical("measure", n, known): own for n, own in self.options.items()},
            "tuned_as": {
                canonical_method(variant): canonical_method(source)
                for variant, source in self.tuned_as.items()
            },
        }
        for name, value in spelled.items():
            object.__setattr__(self, name, value)

    @property
    def path(self) -> Path:
        """Folder of the study."""
        return as_path(self.out) if self.out is not None else Path("runs") / self.task

    @property
    def asked(self) -> tuple[str, ...]:
        """The measures, the standard ones unless some are chosen."""
        chosen = STANDARD if self.measures is None else self.measures
        return tuple(name for name in chosen if name in askable())

    @property
    def measured(self) -> int:
        """Examples that the measures look at: `examples`, or what suits the task."""
        return find_task(self.task).examples(self.examples)

    @property
    def training(self) -> TrainingSettings:
        """Training settings of the first method: budget and device are those of all."""
        return self._first.training

    @property
    def batch_size(self) -> int:
        """Examples of a step of the first method."""
        return self._first.data.batch_size

    @property
    def _first(self) -> Settings:
        return settings_for(self.task, self.methods[0], 0, self.settings)

    def askings(self, measure: str) -> int:
        """Count how often a run is measured: once, or after each task of a sequence."""
        lifelong = self._first.lifelong
        if lifelong is None or lifelong.measure == "end" or measure in RESUMABLE:
            return 1
        return lifelong.tasks

    @property
    def chosen_engine(self) -> Engine:
        """The engine that runs the cells."""
        assert isinstance(self.engine, Engine)
        return self.engine

    @property
    def processes(self) -> int:
        """Number of cells at once, as far as the engine knows before it starts."""
        return self.chosen_engine.at_once(self.training.device)

    @cached_property
    def untuned(self) -> list[Cell]:
        """List one cell for each method that is tuned, before any tuning."""
        tuned = (method for method in self.methods if method not in self.tuned_as)
        return [self.cell(method, 0, self.settings) for method in tuned]

    @property
    def seed_numbers(self) -> list[int]:
        """The seeds of the study; tuning takes others, from `first_trial` on."""
        return list(range(self.first_seed, self.first_seed + self.seeds))

    @property
    def first_trial(self) -> int:
        """The first seed of the trials."""
        return max(FIRST_SEED, self.first_seed + self.seeds)

    def overrides(
        self, chosen: Mapping[str, Values]
    ) -> tuple[dict[str, Overrides], dict[str, str]]:
        """Overrides by method, with the values that tuning chose, controls among them; and what
        each control is, in words.
        """
        tuned: dict[str, Overrides] = {
            method: applied(self.settings, self._values(method, chosen)) for method in self.methods
        }
        return with_controls(self.task, tuned) if self.controls else (tuned, {})

    def _values(self, method: str, chosen: Mapping[str, Values]) -> Values:
        """The values that tuning chose for a method, or for the one that it follows."""
        if method not in self.tuned_as:
            return chosen.get(method, {})
        source = self.tuned_as[method]
        return followed(chosen.get(source, {}), source, method, self.settings.get(method, {}))

    def cells(self, overrides: Mapping[str, Overrides]) -> list[Cell]:
        """Every method with every seed, a seed after the other."""
        return [
            self.cell(method, seed, own)
            for seed in self.seed_numbers
            for method, own in overrides.items()
        ]

    def cell(self, method: str, seed: int, overrides: Overrides) -> Cell:
        """Its folder is named by the content of the settings that decide its weights."""
        settings = settings_for(self.task, method, seed, overrides)
        return Cell(
            self.task, method, seed, cell_folder(self.path / "runs", settings), overrides,
            tuple(n for n in self.asked if seed == self.first_seed or n not in FIRST_SEED_ONLY),
            self.options, self.measured, self.batch_norm, as_path(self.data_dir),
            own=UserCode(**settings.own),
        )  # fmt: skip


def askable() -> dict[str, type]:
    """The measures of a study by name; a path needs a second minimum, so it is not among them."""
    return {name: kind for name, kind in MEASURES.items() if name != "path"}
