"""A study: methods x seeds on one task, trained, measured and compared."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from landscape.analysis import hints
from landscape.engines.engine import Engine
from landscape.records import METRICS, ComparisonRecord, StudyRecord
from landscape.statistics.common_rise import at_common_rise
from landscape.statistics.comparable import comparable_records
from landscape.statistics.minima import compare_minima
from landscape.study.design import Design, Overrides
from landscape.study.numbers import numbers
from landscape.study.plan import missing_runs, most_at_once, plan_of, read_plan, write_plan
from landscape.study.pool import Failure, run_all
from landscape.study.tuning import tune
from landscape.tasks.recorded import check_plain
from landscape.training.run import Run
from landscape.utils import files, manifest
from landscape.utils.environment import environment
from landscape.utils.paths import PathLike, as_path, inside, refuse_links_out
from landscape.utils.processes import check_single_process
from landscape.utils.progress import Listener, Progress, silent
from landscape.utils.progress_display import listening

if TYPE_CHECKING:
    from landscape.report import Contents


class Study:
    """A study's folder, read. `record` holds one number per metric, method and seed.

    cells: the records of each run, by kind; without those in `left_out`, a sentence for each kind.
    rise_notes: a sentence where areas are read at another rise than asked for, or some have none.
    """

    def __init__(self, path: PathLike):
        path = self.path = as_path(path)
        if not (path / "study.json").is_file():
            raise ValueError(f"{path} is not a study: it has no study.json.")
        refuse_links_out(path)
        self.plan = read_plan(path)
        check_plain(self.plan["task"], *self.plan["methods"])
        self.runs: dict[tuple[str, int], Run] = {}
        for method, seed, folder in self.plan["cells"]:
            if (inside(path, folder) / "status.json").is_file():
                run = Run(path / folder)
                if (run.settings.method, run.settings.seed) != (method, seed):
                    raise ValueError(f"{run.path} is not {method}, seed {seed}, of the study.")
                if run.status["state"] in ("finished", "diverged"):
                    run.verify()
                    self.runs[method, seed] = run
        if not self.runs:
            raise ValueError(f"{self.path} holds no finished run. Go on with the same compare.")
        comparable, left_out = comparable_records({k: r.records() for k, r in self.runs.items()})
        self.cells, self.rise_notes = at_common_rise(comparable)
        unsound = [path for run in self.runs.values() for path in run.unsound]
        self.left_out = [
            *left_out,
            *(
                f"{p.relative_to(path)} is damaged or was not finished, and left out."
                for p in unsound
            ),
        ]

    @property
    def failures(self) -> list[Failure]:
        """The cells that failed in the last call of `compare`, with their reasons."""
        return [Failure(**entry) for entry in self.plan.get("failed", [])]

    @property
    def report(self) -> Path:
        """The report's page."""
        return self.path / "report.html"

    def __repr__(self) -> str:
        plan = self.plan
        methods, seeds = ", ".join(plan["methods"]), len(plan["seeds"])
        return (
            f"Study({plan['task']}: {methods}; {seeds} seeds, {len(self.runs)} runs: {self.path})"
        )

    def _repr_html_(self) -> str:
        """Show the outcome and the comparison, in a notebook."""
        said = "".join(f"<p>{escape(line)}</p>" for line in self.outcome)
        return f"<div>{said}{self.comparison._repr_html_()}</div>"

    @property
    def outcome(self) -> list[str]:
        """Two sentences on what the study shows: the report's headline and first key number."""
        from landscape.report.headline import headline
        from landscape.report.key_numbers import key_numbers
        from landscape.report.wording import capitalised

        held = contents(self)
        first = [f"{card.about}: {card.number} ({card.detail})." for card in key_numbers(held)[:1]]
        return [headline(held), *map(capitalised, first)]

    @property
    def record(self) -> StudyRecord:
        """The table of the study."""
        methods, seeds = self.plan["methods"], self.plan["seeds"]
        areas: Any = (held for held in self.cells.values() if "rise_area" in held)
        table = np.full((len(METRICS), len(methods), len(seeds)), np.nan)
        status = np.full((len(methods), len(seeds)), "missing", dtype=object)
        for (method, seed), run in self.runs.items():
            j, k = methods.index(method), seeds.index(seed)
            status[j, k] = run.status["state"]
            if run.status["state"] == "finished":
                row = numbers(
                    run.metrics[-1], self.cells[method, seed], run.settings.data.label_noise
                )
                table[:, j, k] = [row[name] for name in METRICS]
        return StudyRecord(
            metrics=np.array(list(METRICS)),
            methods=np.array(methods),
            seeds=np.array(seeds),
            table=table,
            status=status.astype(str),
            task=self.plan["task"],
            budget=self.plan["budget"],
            loss=self._loss,
            score=next(iter(self.runs.values())).score,
            settings={
                "label_noise": {m: r.settings.data.label_noise for (m, _), r in self.runs.items()},
                "tuning": self.plan.get("tuning", {}),
                "controls": self.plan.get("controls", {}),
                "runs_at_once": self.plan.get("runs_at_once"),
                "rise": next((r["rise_area"].rise for r in areas), None),
            },
            provenance=environment(),
        )

    @property
    def _loss(self) -> str:
        """Name of the losses, with their unit."""
        first = next(iter(self.runs.values()))
        user_task = first.settings.own.get("task")
        if not user_task:
            named = first.task.loss.replace("-", " ").capitalize()
            return f"{named} loss" if named else "cross-entropy, in nats"
        usual = "cross-entropy in nats, or the squared error, as the targets have it"
        return str(user_task["loss"] or usual)

    @property
    def comparison(self) -> ComparisonRecord:
        """The statistics of the study."""
        return replace(compare_minima(self.record), provenance=environment())


def compare(
    task: str,
    methods: Sequence[str],
    seeds: int = 6,
    out: PathLike | None = None,
    *,
    settings: Overrides | None = None,
    grid: Mapping[str, Sequence[Any]] | None = None,
    tune_seeds: int = 1,
    controls: bool = False,
    workers: int | None = None,
    measures: Sequence[str] | None = None,
    examples: int | None = None,
    batch_norm: str = "stored",
    options: Overrides | None = None,
    data_dir: PathLike | None = None,
    engine: Engine | str = "local",
    tuned_as: Mapping[str, str] | None = None,
    first_seed: int = 0,
    command: str = "",
    progress: Listener | bool = silent,
) -> Study:
    """Train methods x seeds, measure every minimum, compare them, write the report.

    methods: names; "sam@wide" is a variant of sam, with a section ["sam@wide"] of its own.
    seeds: how many; the same for all methods, `first_seed`, `first_seed` + 1, ... Below 6 no exact
    paired test can reach p < 0.05.
    measures: names, default all; surfaces, profiles and densities are those of the first seed.
    examples: that the measures look at; default what suits the task.
    grid: values to choose from on held-out data, {"sam.rho": (0.02, 0.05), "training.lr": ...}; as
    many trials for every method, with `tune_seeds` seeds or more that the study does not use. See
    `landscape.study.tuning`. controls: adds those of `landscape.study.controls`; they are derived,
    not tuned.
    workers: cells at once; default one per core on the CPU, one per visible card on CUDA.
    engine: who runs the cells: "local", "dask", "ray", "slurm", or one of `landscape.engines` with
    its own settings.
    Cells that are finished are not done again, so the same call goes on where it was interrupted.

    Raises ValueError for unknown names and bad settings, before anything is trained, and where a
    method diverged with every combination of the grid.
    """
    check_single_process()
    design = Design(
        task, tuple(methods), seeds, out, settings or {}, grid or {}, tune_seeds, controls,
        workers, measures, examples, batch_norm, options or {}, data_dir, engine, tuned_as or {},
        first_seed,
    )  # fmt: skip
    design.chosen_engine.reach()
    with listening(progress) as tell:
        return _compared(design, command, tell)


def _compared(design: Design, command: str, progress: Listener) -> Study:
    refuse_links_out(design.path)
    path, engine = design.path, design.chosen_engine
    tuning = tune(
        design.untuned, design.grid, design.tune_seeds, design.first_trial, engine, progress
    )
    overrides, words = design.overrides(tuning.chosen)
    cells = design.cells(overrides)
    at_once = most_at_once(path / "study.json", min(design.processes, len(cells)))
    plan = plan_of(design, tuning, words, cells, command, at_once)
    write_plan(path, plan)
    failures = run_all(cells, engine, progress, path)
    write_plan(path, {**plan, "failed": [vars(f) for f in failures]})
    progress(Progress("report", "", 0, 1))
    report(path)
    return Study(path)


def report(path: PathLike) -> Path:
    """Write the report, figures and tables of a study anew from its records; the page's path."""
    from landscape.report import write  # figures need matplotlib and plotly

    study = Study(path)
    page = write(contents(study), study.path)
    manifest.reseal(study.path, [p for p in study.path.glob("tables/*") if p.is_file()])
    return page


def contents(study: Study) -> "Contents":
    """Collect what the report of a study is made of."""
    from landscape.report import Contents

    first = next(iter(study.runs.values()))
    return Contents(
        study=study.record,
        comparison=study.comparison,
        cells=study.cells,
        settings={
            method: _without_places(run.settings.to_dict(), study.path)
            for (method, seed), run in study.runs.items()
            if seed == study.plan["seeds"][0]
        },
        environment=files.read_json(first.path / "environment.json"),
        command=study.plan["command"],
        notes=_notes(study),
    )


def _without_places(settings: dict[str, Any], study: Path) -> dict[str, Any]:
    """Settings whose weights to start from are named from the study's folder, where they lie in it
    or beside it, else by their name: a page that is sent around shows no folders of this machine.
    """
    source = Path(settings.get("init", {}).get("source", ""))
    if not source.is_absolute():  # also hf:NAME
        return settings
    beside = source.is_relative_to(study.resolve().parent)
    short = (
        os.path.relpath(source, study.resolve())
        if beside
        else "/".join(source.parts[-2 if source.suffix else -1 :])
    )
    return {**settings, "init": {**settings["init"], "source": Path(short).as_posix()}}


def _notes(study: Study) -> list[str]:
    """Collect what a reader of the report must know besides the numbers."""
    from landscape.plots.drawing.style import style_of

    data_note = files.read_json(next(iter(study.runs.values())).path / "environment.json")
    notes = [data_note["data_note"]] if data_note.get("data_note") else []
    controls = study.plan.get("controls", {})
    notes += [f"{style_of(name).label} is a control: {words}" for name, words in controls.items()]
    if any("lifelong" in held for held in study.cells.values()):
        notes.append("Test accuracy and losses are means over the tasks, after the last of them.")
    notes += [*hints.of_seeds(len(study.plan["seeds"])), *study.left_out, *study.rise_notes]
    notes += [f"{failure}" for failure in study.failures]
    there = {*study.runs, *((failure.method, failure.seed) for failure in study.failures)}
    return [*notes, *missing_runs(study.plan, there)]
