"""Ask measures of minima and keep the answers as records: one loop for runs and checkpoints."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from landscape.analysis import after_tasks, reference_points
from landscape.analysis.checkpoint_spec import CheckpointSpec, open_minimum
from landscape.analysis.minimum import RESUMABLE, Minimum, counter, splits_into
from landscape.analysis.row_blocks import answer_by
from landscape.analysis.subject import DATA_OF
from landscape.distributed.launch import current, joined
from landscape.engines import Engine, engine_of
from landscape.measures import MEASURES, STANDARD, CrossCheck
from landscape.records import Record
from landscape.tasks.registry import Task
from landscape.training.run import Run
from landscape.utils.names import look_up, names_of
from landscape.utils.paths import PathLike, as_path
from landscape.utils.processes import check_single_process
from landscape.utils.progress import Listener, silent
from landscape.utils.progress_display import listening

Options = Mapping[str, Mapping[str, Any]]


def analyze(
    subject: PathLike | Run | Minimum,
    measures: Sequence[str] | None = None,
    *,
    options: Options | None = None,
    examples: int | None = None,
    batch_norm: str | None = None,
    model: Any = None,
    model_args: Mapping[str, Any] | None = None,
    data: Any = None,
    data_args: Mapping[str, Any] | None = None,
    loss: Any = None,
    checkpoint_key: str | None = None,
    out: PathLike | None = None,
    to: PathLike | Run | Minimum | None = None,
    among: Sequence[Run] = (),
    force: bool = False,
    trust: bool = False,
    data_dir: PathLike | None = None,
    device: str | None = None,
    parameters: str | None = None,
    after: int | None = None,
    engine: Engine | str | None = None,
    progress: Listener | bool = silent,
) -> dict[str, Record]:
    """Measure the minimum of a run or a checkpoint and keep the answers: records by measure.

        ls.analyze("runs/mine", ["eigenvalues"], options={"eigenvalues": {"k": 5}})
        ls.analyze("model.pt", ["noise"], model=net, data={"train": loader, "test": other})

    subject: the folder of a run, or a checkpoint (.pt, .safetensors), which needs model and data.
    measures: names; default all that apply. A record that answers the same question is kept,
    unless `force`.
    options: settings by measure, {"eigenvalues": {"k": 5, "which": "both"}}, over the task's own.
    examples: of each split; default what suits the run's task, 1000 of a checkpoint.
    batch_norm: "stored", "batch" or "reestimated"; default stored, re-estimated between minima.
    parameters: a pattern, "lora|head": only weights whose name it is found in; default all.
    model, data, loss: see `CheckpointSpec`; checkpoint_key: the entry with the weights, "ema".
    out: folder of a checkpoint's records, by default minima/NAME.
    engine: a name or one of `landscape.engines`, whose workers share the rows of surfaces, lines of
    profiles, draws of noise, points of paths, probes of densities and directions of Hutchinson's
    trace, with the numbers of one process of one thread. They open the network themselves, so
    model, data and loss are to be named, file.py:net.
    to: the other end of a path; among: runs whose minima span a surface with directions "minima".
    trust: import the user's code that a run refers to. data_dir: folder of the data's files.

    A run over a sequence of tasks with `lifelong.measure` "task" is measured after each of them,
    surfaces and profiles left out: "lifelong" has the numbers. after: the number of a task, from 1:
    the network is measured after it alone, on examples of the tasks up to it, likewise; the records
    lie in tasks/task-NN of the run.

    Raises ValueError for unknown measures and settings, for a run that diverged or has not
    finished, and for a checkpoint that does not fit; FileNotFoundError for missing data.
    """
    spec = CheckpointSpec(
        model, model_args or {}, data, data_args or {}, loss, data_dir, examples, batch_norm,
        device, parameters or "",
    )  # fmt: skip

    def opened(given: PathLike | Run | Minimum, folder: PathLike | None) -> Minimum:
        return open_minimum(given, spec, key=checkpoint_key, out=folder, trust=trust)

    with joined(device) as ranks:
        if engine is not None and ranks.size > 1:
            raise ValueError(
                "`engine` shares out rows, torchrun shares out the data. Leave out one of the two."
            )
        minimum = opened(subject, out)
        end = None if to is None else opened(to, None)
        asked = measures_of(minimum, measures, options or {}, among, end)
        if engine is not None:
            _check_rows(asked)
        by_task = {name: m for name, m in asked.items() if name not in RESUMABLE}
        if after is not None:
            minimum = after_tasks.minimum_after(after, minimum, as_path(data_dir), device)
            asked = by_task
        by = None if engine is None else engine_of(engine)
        with listening(progress) as tell:
            found = answers(minimum, asked, force=force, engine=by, progress=tell)
            for task in range(1, tasks := after_tasks.tasks_to_measure(minimum)):
                earlier = after_tasks.minimum_after(task, minimum, as_path(data_dir), device)
                answers(earlier, by_task, force=force, progress=tell)
            if tasks and minimum.run is not None:
                found["lifelong"] = after_tasks.record_of(
                    minimum.run, as_path(data_dir), device, tell, minimum.name
                )
            return found


def _check_rows(measures: Mapping[str, Any]) -> None:
    """Raise ValueError where an engine would share out nothing."""
    if measures and not any(map(splits_into, measures.values())):
        raise ValueError(
            "`engine` has no effect: it shares out surface, profile, noise, path, "
            f"spectral_density and the trace by hutchinson. Got {', '.join(measures)}."
        )


def answers(
    minimum: Minimum,
    measures: Mapping[str, Any],
    *,
    force: bool = False,
    engine: Engine | None = None,
    progress: Listener = silent,
) -> dict[str, Record]:
    """Records of a minimum by measure; one that answers the same question is kept.

    engine: evaluates the rows of measures that have several; None is this process.
    """
    if current().size == 1:
        check_single_process()
    records: dict[str, Record] = {}
    for name, measure in measures.items():
        kept = current().first(None if force else minimum.answered(name, measure))
        if kept is None and engine is not None and splits_into(measure):
            record = answer_by(engine, minimum, name, measure, progress)
            kept = minimum.keep(name, record, DATA_OF[name])
        records[name] = kept or minimum.answer(name, measure, progress, records)
    return records


def cross_check(
    minimum: Minimum, *, options: Mapping[str, Any] | None = None, progress: Listener = silent
) -> Record:
    """The eigenvalues of a minimum by every solver that is installed; kept as a record.

    options: settings of `measures.CrossCheck`.
    """
    known = dict.fromkeys(f.name for f in fields(CrossCheck))
    for key in options or {}:
        look_up("setting of cross_check", key, known)
    check = CrossCheck(**(options or {}))
    tell = counter(progress, f"{minimum.name}: cross-check")
    return minimum.keep("cross_check", check(minimum.objectives.train, progress=tell), "train")


def measures_of(
    minimum: Minimum,
    names: Sequence[str] | None,
    options: Options,
    among: Sequence[Run] = (),
    to: Minimum | None = None,
) -> dict[str, Any]:
    """Measures by name, with their settings and the reference points that they need.

    Raises ValueError as `analyze` does.
    """
    run = minimum.run
    if run is not None and run.status["state"] == "diverged":
        raise ValueError(f"{run.path} diverged in training: there is no minimum to measure.")
    if names is None:
        names = [name for name in STANDARD if name != "path" or to]
    task = None if run is None else run.task
    measures = {}
    for name in names_of("measure", names, MEASURES):
        chosen = settings_of_measure(task, name, options)
        if minimum.parameters:
            _refuse_several_minima(name, chosen)
        if name == "path" and to is not None:
            chosen |= {"end": to.w, "name": to.name}
        elif name == "path" and run is None:
            raise ValueError("A path needs its other end: --to CHECKPOINT.")
        if name == "surface":
            chosen |= reference_points.of_surface(chosen, run, among)
        measures[name] = measure_with(name, chosen)
    return measures


def _refuse_several_minima(name: str, options: Mapping[str, Any]) -> None:
    """ValueError for points of other minima: the weights that stay differ there."""
    directions = options.get("directions")
    if name == "path" or directions in ("trajectory", "minima"):
        what = "a path" if name == "path" else f"a surface with directions {directions}"
        raise ValueError(
            f"`parameters` keeps the other weights of one minimum, and {what} goes through "
            "several. Leave out one of the two."
        )


def measure_of(task: Task | None, name: str, options: Options) -> Any:
    """A measure with the task's own settings under `options`; ValueError for unknown ones."""
    return measure_with(name, settings_of_measure(task, name, options))


def settings_of_measure(task: Task | None, name: str, options: Options) -> dict[str, Any]:
    """The settings that a task has for a measure, and those of the user over them."""
    usual = {} if task is None else task.measures.get(name, {})
    return {**usual, **options.get(name, {})}


def measure_with(name: str, options: Mapping[str, Any]) -> Any:
    """A measure by name with these settings; ValueError for unknown ones."""
    kind = look_up("measure", name, MEASURES)
    known = dict.fromkeys(f.name for f in fields(kind))
    for key in options:
        look_up(f"setting of {name}", key, known)
    return kind(**options)
