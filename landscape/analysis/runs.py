"""Ask measures of a run and keep the answers as its records."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from landscape.analysis import reference_points
from landscape.analysis.subject import BESIDE, DATA_OF
from landscape.measures import MEASURES, CrossCheck
from landscape.measures.context import settings_of
from landscape.records import Record, load
from landscape.tasks.registry import Task
from landscape.training.run import Run
from landscape.utils.files import plain
from landscape.utils.names import look_up
from landscape.utils.progress import Listener, Progress, silent

WALKS = ("surface", "profile", "path")  # long ones: finished rows are kept


def analyze(
    run: Run,
    measures: Sequence[str] | None = None,
    *,
    force: bool = False,
    examples: int | None = None,
    batch_norm: str = "stored",
    options: Mapping[str, Mapping[str, Any]] | None = None,
    among: Sequence[Run] = (),
    to: Run | None = None,
    data_dir: Path | None = None,
    progress: Listener = silent,
) -> dict[str, Path]:
    """Records of a run's final weights, by measure: the paths of their files.

    measures: names; default all that apply. A record that answers the same question is kept,
    unless `force`.
    examples: of the training set for curvature, flatness and surface; of the test set for noise;
    default what suits the run's task.
    options: settings by measure, {"eigenvalues": {"k": 5, "which": "both"}}, over the task's own.
    among: the runs whose minima a surface with directions "minima" goes through; to: the run at the
    other end of a path.

    Raises ValueError for unknown measures and settings, and for a run that diverged.
    """
    asked = measures_of(run, measures, options or {}, among, to)
    examples = run.task.examples(examples)
    objective = cache(
        lambda which: run.objective(
            which, examples=examples, batch_norm=batch_norm, data_dir=data_dir
        )
    )
    paths: dict[str, Path] = {}
    for name, measure in asked.items():
        paths[name] = run.path / "records" / f"{name}.nc"
        sound = run.is_sound(paths[name])
        if not force and sound and is_answered(paths[name], measure, examples, batch_norm):
            continue
        which, extra = DATA_OF[name], dict[str, Any]()
        if name in BESIDE:
            extra["other"] = objective(BESIDE[name])
        if name in WALKS:
            extra["keep"] = paths[name].with_name(f".{name}.rows")
        label = f"{run.settings.method}, seed {run.settings.seed}: {name.replace('_', ' ')}"
        record = measure(objective(which), progress=counter(progress, label), **extra)
        _located(record, run, which, BESIDE.get(name), examples).save(paths[name])
        run.seal_record(paths[name])
    return paths


def cross_check(
    run: Run,
    *,
    examples: int | None = None,
    batch_norm: str = "stored",
    options: Mapping[str, Any] | None = None,
    data_dir: Path | None = None,
    progress: Listener = silent,
) -> Record:
    """The eigenvalues of a run's final weights by every solver that is installed; kept as a record.

    options: settings of `measures.CrossCheck`.
    """
    known = dict.fromkeys(f.name for f in fields(CrossCheck))
    for key in options or {}:
        look_up("setting of cross_check", key, known)
    check = CrossCheck(**(options or {}))
    examples = run.task.examples(examples)
    objective = run.objective("train", examples=examples, batch_norm=batch_norm, data_dir=data_dir)
    label = f"{run.settings.method}, seed {run.settings.seed}: cross-check"
    found = check(objective, progress=counter(progress, label))
    record = _located(found, run, "train", None, examples)
    record.save(run.path / "records" / "cross_check.nc")
    run.seal_record(run.path / "records" / "cross_check.nc")
    return record


def measures_of(
    run: Run,
    names: Sequence[str] | None,
    options: Mapping[str, Mapping[str, Any]],
    among: Sequence[Run] = (),
    to: Run | None = None,
) -> dict[str, Any]:
    """What `analyze` asks of a run, by name: measures with their settings.

    Raises ValueError as `analyze` does.
    """
    if names is None:
        names = [name for name in MEASURES if name != "path" or to]
    own = {name: _options(run.task, name, options) for name in names}
    if run.status["state"] == "diverged":
        raise ValueError(f"{run.path} diverged in training: there is no minimum to measure.")
    placed = {name: reference_points.placed(name, own[name], run, among, to) for name in names}
    return {name: measure_with(name, own_options) for name, own_options in placed.items()}


def measure_of(task: Task, name: str, options: Mapping[str, Mapping[str, Any]]) -> Any:
    """One measure, its settings the task's own under `options`; ValueError for unknown ones."""
    return measure_with(name, _options(task, name, options))


def _options(task: Task, name: str, options: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {**task.measures.get(name, {}), **options.get(name, {})}


def measure_with(name: str, options: Mapping[str, Any]) -> Any:
    """A measure by name with these settings; ValueError for unknown ones."""
    kind = look_up("measure", name, MEASURES)
    known = dict.fromkeys(f.name for f in fields(kind))
    for key in options:
        look_up(f"setting of {name}", key, known)
    return kind(**options)


def is_answered(path: Path, measure: Any, examples: int, batch_norm: str) -> bool:
    """Whether a record with the same settings, policy and number of examples (or all) is there."""
    if not path.exists():
        return False
    record = load(path)
    assert record.point is not None
    return (
        plain(record.settings) == plain(settings_of(measure))
        and record.point.batch_norm == batch_norm
        and record.provenance.get("examples_asked_for") == examples
    )


def counter(progress: Listener, label: str) -> Any:
    """What a measure tells its progress, told to the listener of a command."""
    return lambda done, total: progress(Progress("measure", label, done, total))


def _located(record: Any, run: Run, which: str, beside: str | None, examples: int) -> Record:
    """The record, saying whose minimum it speaks of, on which part of the data, and how much of it
    was asked for.
    """
    where = {"point": replace(record.point, split=which)}
    if beside:
        where["other_point"] = {**record.other_point, "split": beside}
    whose = {"run": {**run.identity, "precision": run.settings.training.precision}}
    asked = {**record.provenance, **whose, "examples_asked_for": examples}
    return replace(record, **where, provenance=asked)
