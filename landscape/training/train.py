"""Train one network and keep everything about it in a folder; go on after an interruption."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from math import isfinite
from pathlib import Path
from typing import Any

from landscape.data import DataSet
from landscape.distributed.launch import is_restarted, joined
from landscape.distributed.ranks import ALONE, Alone, Ranks
from landscape.lifelong.sequence import check
from landscape.tasks import imports, registry
from landscape.tasks.registration import UserCode, canonical_method, registered
from landscape.tasks.registry import Task
from landscape.tasks.registry import task as find_task
from landscape.training import checkpoint, tables
from landscape.training.initial_weights import digest, located
from landscape.training.keeper import CHECKPOINT, FIRST_CHECKPOINT, Clock, Keeper
from landscape.training.loggers.log import LOGGERS, Choice, Log, Logger, loggers_of
from landscape.training.loop import Diverged, Training
from landscape.training.over_ranks import RankTraining
from landscape.training.protocols.lifelong import LifelongTraining
from landscape.training.run import WEIGHTS, Run, load_data, task_folder
from landscape.training.settings import Settings, resolve, unlabelled
from landscape.training.start.displacement import Start, kept_norms
from landscape.utils import files, interrupt, manifest
from landscape.utils.environment import environment
from landscape.utils.lock import one_writer
from landscape.utils.memory import memory_for
from landscape.utils.names import canonical
from landscape.utils.paths import PathLike, as_path
from landscape.utils.progress import Listener, Progress, silent
from landscape.utils.progress_display import listening

Trainings = Training | LifelongTraining
SAID_EVERY = 50  # steps between two messages of progress
SEALED = (".json", ".jsonl", ".csv", ".safetensors")


def train(
    task: str,
    method: str,
    seed: int = 0,
    out: PathLike | None = None,
    *,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    data_dir: PathLike | None = None,
    resume: bool = False,
    log: Choice = (),
    tensorboard: bool = False,
    checkpoint_every: int | str = "10min",
    progress: Listener | bool = silent,
) -> Run:
    """Train one network into the folder `out`, by default runs/TASK-METHOD-seedSEED.

    settings: overrides by section and method, {"training": {"epochs": 5}, "sam": {"rho": 0.1}}.
    resume: go on from the last checkpoint, bit for bit where the number of threads is the same.
    A run that has ended with these settings is not trained again.
    checkpoint_every: a number of steps, or minutes as "10min". Beside that a checkpoint is kept at
    the ends of epochs, and at the next step after Ctrl-C, SIGTERM or SIGUSR1.
    log: "tensorboard", "wandb", "mlflow", several of them, or objects as
    `landscape.training.loggers.log.Logger` describes: they get the metrics after each epoch. The
    named ones write into a folder of their name in the run's, and send nothing unless WANDB_MODE or
    MLFLOW_TRACKING_URI says so. tensorboard: short for log="tensorboard".

    Raises ValueError for settings that do not exist or hold, where `out` is an unfinished run or
    one with other settings, and where another process writes there; FileNotFoundError for missing
    data;
    KeyboardInterrupt, with a checkpoint kept, where a signal asks to stop.

    Example: one epoch of SAM on the digits.

    >>> import tempfile
    >>> import landscape as ls
    >>> short = {"training": {"epochs": 1, "device": "cpu"}}
    >>> run = ls.train("digits", "sam", out=tempfile.mkdtemp() + "/run", settings=short)
    >>> run.settings.method, run.status["state"]
    ('sam', 'finished')
    """
    clock = Clock.parse(checkpoint_every)
    task, method = canonical("task", task, registry.TASKS), canonical_method(method)
    chosen = settings_for(task, method, seed, settings or {})
    path = folder_of(task, method, seed, out)
    loggers = loggers_of(log, tensorboard)  # before anything is trained
    resume = resume or is_restarted()
    with joined(chosen.training.device) as ranks:
        ended = ended_in(path, chosen, resume=resume)
        if ranks.first(ended is not None):
            if ranks.index == 0:
                _log_again(Run(path), loggers)
            return Run.open(path)
        first = ranks.index == 0
        with one_writer(path) if first else nullcontext():
            ended = ended_in(path, chosen, resume=resume)  # by whoever held the lock before
            if ranks.first(ended is not None):
                return Run.open(path)
            batch = chosen.data.batch_size
            remedy = f"Lower data.batch_size, now {batch}, or train a smaller network."
            with (
                memory_for(f"the training of {method}, seed {seed}", remedy),
                listening(progress if first else silent) as tell,
            ):
                chosen_loggers = loggers if first else ()
                _train(path, chosen, as_path(data_dir), chosen_loggers, clock, tell, ranks)
            ranks.all(True)  # the first one has written everything
            return Run(path)


def _log_again(run: Run, loggers: Sequence[str | Logger]) -> None:
    """Hand the metrics of a run that has ended to loggers."""
    looks = run.path / "sharpness.jsonl"
    log = Log(loggers, run.path, run.settings.to_dict())
    log.grow(run.metrics, tables.read(looks) if looks.exists() else [])
    log.close(completed=run.status["state"] == "finished")


def folder_of(task: str, method: str, seed: int, out: PathLike | None) -> Path:
    """Folder of a run: `out`, or runs/TASK-METHOD-seedSEED."""
    return as_path(out) if out is not None else Path("runs") / f"{task}-{method}-seed{seed}"


def ended_in(path: Path, settings: Settings, *, resume: bool) -> Run | None:
    """The run in a folder, where it has ended with these settings; None where it can go there.

    Raises ValueError where the folder holds a run with other settings, or, unless `resume`, an
    unfinished one.
    """
    if not (path / "settings.json").exists():
        return None
    run = Run(path)
    _refuse_other_settings(run, settings)
    if run.has_ended:
        return Run.open(path)
    if not resume:
        raise ValueError(f"{path} holds an unfinished run. Add --resume to go on with it.")
    return None


def settings_for(
    task: str, method: str, seed: int, overrides: Mapping[str, Mapping[str, Any]]
) -> Settings:
    """The settings of one run: the task's defaults, then the overrides.

    overrides: as the user gave them in this process, so an optimizer that they refer to may be
    imported.
    """
    chosen = resolve(task, method, seed, find_task(task).defaults, overrides)
    if chosen.init.source and not chosen.init.sha256:
        sha256 = digest(located(chosen.init.source))
        chosen = replace(chosen, init=replace(chosen.init, sha256=sha256))
    if imports.is_reference(chosen.training.optimizer):
        imports.allow([chosen.training.optimizer])
    own = registered(task, unlabelled(method).split("+"))
    return replace(chosen, own=asdict(own) if own else {})


def _train(
    path: Path,
    settings: Settings,
    data_dir: Path | None,
    loggers: Sequence[str | Logger],
    clock: Clock,
    progress: Listener,
    ranks: Alone,
) -> None:
    with memory_for("loading the data", "Use fewer examples, or a machine with more memory."):
        dataset = load_data(find_task(settings.task), data_dir)
    with imports.errors_attributed_to(UserCode(**settings.own).task_names):
        training = training_of(settings, find_task(settings.task), dataset, ranks)
    kept = [p for p in (path / CHECKPOINT, path / FIRST_CHECKPOINT) if p.exists()]
    boundary = ranks.first(checkpoint.load(kept[0]) if kept and ranks.index == 0 else None)
    start = _start(path, training, goes_on=bool(boundary)) if ranks.index == 0 else None
    if boundary:
        training.restore(boundary)
    if isinstance(training, RankTraining) and ranks.index != 0:
        training.follow()
        return
    log = Log(loggers, path, settings.to_dict())  # one that does not start leaves no run behind
    files.write_json(path / "settings.json", settings.to_dict())
    files.write_json(
        path / "environment.json",
        {
            **environment(ranks.size),
            "device": str(training.device),
            "data_dir": data_dir and str(data_dir.resolve()),
            "data_fingerprint": dataset.fingerprint,
            "data_note": dataset.note,
            **training.describe(),
        },
    )
    if start:
        start.write(path)
    state = _run_logged(path, training, log, clock, progress)
    checkpoint.save_state(path / WEIGHTS, training.model.state_dict())
    if start:
        start.write(path, training.model)
    tables.write(path, "metrics", training.rows)
    _seal(path, {"state": state, "epoch": training.epoch, **training.outcome()})
    for name in (CHECKPOINT, FIRST_CHECKPOINT):
        (path / name).unlink(missing_ok=True)


def _start(path: Path, training: Trainings, *, goes_on: bool) -> Start | None:
    """The weights that a training starts from, before a checkpoint moves it; None where all were
    drawn.
    """
    if not training.settings.init.source:
        return None
    return Start(training.model, training.drawn, kept_norms(path) if goes_on else None)


def check_protocol(settings: Settings, dataset: DataSet) -> None:
    """Raise ValueError where a data set cannot be trained on as the settings ask."""
    if settings.lifelong is not None:
        check(dataset, settings.lifelong)


def training_of(
    settings: Settings, task: Task, dataset: DataSet, ranks: Alone = ALONE
) -> Trainings:
    """The training that settings ask for: of all classes together, or of a sequence of tasks.

    Raises ValueError for a sequence of tasks, or a loss to stop at, over several ranks.
    """
    if isinstance(ranks, Ranks):
        if settings.lifelong is not None:
            raise ValueError("A sequence of tasks is trained in one process, not over ranks.")
        if settings.training.stop_at_loss is not None:
            raise ValueError(
                "`training.stop_at_loss` is for one process, not for several ranks. Leave it out."
            )
        return RankTraining(settings, task, dataset, ranks)
    kind = Training if settings.lifelong is None else LifelongTraining
    return kind(settings, task, dataset)


def _run_logged(path: Path, training: Trainings, log: Log, clock: Clock, progress: Listener) -> str:
    """Train to the end; return how it ended, "finished" or "diverged"."""
    try:
        log.grow(training.rows, training.looks)
        with interrupt.deferred():
            _run_epochs(path, training, log, clock, progress)
    except Diverged:
        return "diverged"
    finally:
        log.close(completed=training.done)
    return "finished"


def _seal(path: Path, status: dict[str, Any]) -> None:
    """The manifest first, then the status that it knows already: only both together end a run."""
    kept = [p for p in path.rglob("*") if p.suffix in SEALED and not p.name.startswith(".")]
    unsealed = {"manifest.json", "status.json", CHECKPOINT, FIRST_CHECKPOINT}
    theirs = {"records", *(logger.folder for logger in LOGGERS.values())}
    written = [
        p for p in kept if p.name not in unsealed and p.relative_to(path).parts[0] not in theirs
    ]
    manifest.seal(path, written, {"status.json": files.json_bytes(status)})
    files.write_json(path / "status.json", status)


def _run_epochs(
    path: Path, training: Trainings, log: Log, clock: Clock, progress: Listener
) -> None:
    """Train to the end of the budget, with checkpoints along the way and when interrupted."""
    label = f"{training.settings.method}, seed {training.settings.seed}"
    keeper = Keeper(path, training, clock)
    sharpness = tables.Growing(path, "sharpness", training.looks) if training.monitor else None

    def between_steps(spent: float) -> None:
        has_looked = sharpness is not None and sharpness.grow(training.looks)
        if has_looked or training.steps % SAID_EVERY == 0:
            progress(Progress("train", label, spent, 1.0))
        training.check_interrupt()
        keeper.after_step()

    _keep_results(path, training)
    while not training.done:
        before = training.spent
        steps = training.run_epoch()
        for spent in keeper.guarded(steps):
            with keeper.saving_on_interrupt():
                between_steps(spent)
        with keeper.saving_on_interrupt():
            if sharpness:
                sharpness.grow(training.looks)
            log.grow(training.rows, training.looks)
            _keep_results(path, training)
            _keep_snapshot(path, training, before)
            keeper.after_epoch()
            last = training.rows[-1]
            score = _reached(training.score, last) if last["epoch"] == training.epoch else ""
            progress(Progress("train", label, training.spent, 1.0, score))
            training.check_interrupt()


def _keep_results(path: Path, training: Trainings) -> None:
    """Accuracies over the tasks of a sequence, and the weights where one ended with the epoch."""
    if isinstance(training, LifelongTraining):
        tables.write(path, "lifelong", training.results)
        if training.ended:
            state = training.model.state_dict()
            checkpoint.save_state(task_folder(path, training.ended) / WEIGHTS, state)


def _reached(score: str, row: Mapping[str, float]) -> str:
    """The score on the test data, or the loss where targets are no classes."""
    if isfinite(row["test_accuracy"]):
        return f"test {score} {row['test_accuracy']:.3f}"
    return f"test loss {row['test_loss']:.4g}"


def _keep_snapshot(path: Path, training: Trainings, before: float) -> None:
    """Keep one of `snapshots` sets of weights, evenly spread over the budget."""
    count = training.settings.training.snapshots
    if int(training.spent * count + 1e-9) > int(before * count + 1e-9):
        name = f"epoch-{training.epoch:04d}.safetensors"
        checkpoint.save_state(path / "snapshots" / name, training.model.state_dict())


def _refuse_other_settings(run: Run, chosen: Settings) -> None:
    old, new = files.flat(run.settings.to_dict()), files.flat(chosen.to_dict())
    differing = [key for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
    if differing:
        key = differing[0]
        raise ValueError(
            f"{run.path} was made with other settings: {', '.join(differing[:5])} "
            f"({key} was {old.get(key)}, now {new.get(key)}). Choose another --out."
        )
