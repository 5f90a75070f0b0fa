"""Train one network and keep everything about it in a folder; go on after an interruption."""

import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from landscape.tasks import imports
from landscape.tasks.registry import Own, brought
from landscape.tasks.registry import task as find_task
from landscape.training import checkpoint, tables
from landscape.training.loop import Diverged, Training
from landscape.training.run import Run, load_data
from landscape.training.settings import Settings, resolve, unlabelled
from landscape.training.tensorboard import Events
from landscape.utils import files
from landscape.utils.environment import environment
from landscape.utils.optional import optional
from landscape.utils.progress import Listener, Progress, silent

CHECKPOINT_SECONDS = 10.0  # at most this much work, and an epoch, is lost to a kill


def train(
    task: str,
    method: str,
    seed: int = 0,
    out: Path | str | None = None,
    *,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    data_dir: Path | None = None,
    resume: bool = False,
    tensorboard: bool = False,
    progress: Listener = silent,
) -> Run:
    """Train one network into the folder `out`, by default runs/TASK-METHOD-seedSEED.

    settings: overrides by section and method, {"training": {"epochs": 5}, "sam": {"rho": 0.1}}.
    resume: go on from the last epoch boundary, bit for bit where the number of threads is the same.
    A run that has ended with these settings is not trained again.
    tensorboard: writes the metrics as its scalars too, into the run's folder `tensorboard`.

    Raises ValueError for settings that do not exist or hold, and where `out` is an unfinished run
    or one with other settings; FileNotFoundError for missing data.
    """
    chosen = settings_for(task, method, seed, settings or {})
    path = folder_of(task, method, seed, out)
    if tensorboard:
        optional("tensorboard", "track")  # before anything is trained
    ended = ended_in(path, chosen, resume=resume)
    if ended and tensorboard:
        looks = path / "sharpness.jsonl"
        Events(path, ended.metrics, tables.read(looks) if looks.exists() else []).close()
    return ended or _train(path, chosen, data_dir, tensorboard, progress)


def folder_of(task: str, method: str, seed: int, out: Path | str | None) -> Path:
    """Where a run goes: `out`, or runs/TASK-METHOD-seedSEED."""
    return Path(out) if out is not None else Path("runs") / f"{task}-{method}-seed{seed}"


def ended_in(path: Path, settings: Settings, *, resume: bool) -> Run | None:
    """The run in a folder, where it has ended with these settings; None where it can go there.

    Raises ValueError where the folder holds a run with other settings, or, unless `resume`, an
    unfinished one.
    """
    if not (path / "settings.json").exists():
        return None
    run = Run(path)
    _refuse_other_settings(run, settings)
    if run.status["state"] in ("finished", "diverged"):
        return Run.open(path)
    if not resume:
        raise ValueError(f"{path} holds an unfinished run. Add --resume to go on with it.")
    return None


def settings_for(
    task: str, method: str, seed: int, overrides: Mapping[str, Mapping[str, Any]]
) -> Settings:
    """The settings of one run: the task's defaults, then the overrides."""
    chosen = resolve(task, method, seed, find_task(task).defaults, overrides)
    own = brought(task, unlabelled(method).split("+"))
    return replace(chosen, own=asdict(own) if own else {})


def _train(
    path: Path, settings: Settings, data_dir: Path | None, tensorboard: bool, progress: Listener
) -> Run:
    dataset = load_data(find_task(settings.task), data_dir)
    with imports.blamed(Own(**settings.own).parts):
        training = Training(settings, find_task(settings.task), dataset)
    if (path / "checkpoint.safetensors").exists():
        training.restore(checkpoint.load(path / "checkpoint.safetensors"))
    files.write_json(path / "settings.json", settings.to_dict())
    files.write_json(
        path / "environment.json",
        {
            **environment(),
            "device": str(training.device),
            "data_dir": data_dir and str(data_dir.resolve()),
            "data_fingerprint": dataset.fingerprint,
            "data_note": dataset.note,
            **({"sharpness": training.watcher.where()} if training.watcher else {}),
        },
    )
    state = "finished"
    events = Events(path, training.rows, training.looks) if tensorboard else None
    try:
        _run_epochs(path, training, events, progress)
    except Diverged:
        state = "diverged"
    finally:
        if events:
            events.close()
    checkpoint.save_state(path / "weights.safetensors", training.model.state_dict())
    tables.write(path, "metrics", training.rows)
    _write_status(path, state, training.epoch)
    (path / "checkpoint.safetensors").unlink(missing_ok=True)
    run = Run(path)
    run.seal()
    return run


def _run_epochs(path: Path, training: Training, events: Events | None, progress: Listener) -> None:
    """To the end of the budget; saves the last boundary now and then, and when interrupted."""
    label = f"{training.settings.method}, seed {training.settings.seed}"
    boundary, saved = training.boundary(), time.monotonic()
    sharpness = tables.Growing(path, "sharpness", training.looks) if training.watcher else None
    try:
        while not training.done:
            before = training.spent
            for spent in training.run_epoch():
                if sharpness:
                    sharpness.grow(training.looks)
                progress(Progress("train", label, spent, 1.0))
            if sharpness:
                sharpness.grow(training.looks)
            if events:
                events.grow(training.rows, training.looks)
            _keep_snapshot(path, training, before)
            boundary = training.boundary()
            if time.monotonic() - saved > CHECKPOINT_SECONDS:
                _save_boundary(path, boundary, "running")
                saved = time.monotonic()
            accuracy = f"test accuracy {training.rows[-1]['test_accuracy']:.3f}"
            progress(Progress("train", label, training.spent, 1.0, accuracy))
    except Diverged:
        raise
    except BaseException:
        _save_boundary(path, boundary, "interrupted")
        raise


def _save_boundary(path: Path, boundary: dict[str, Any], state: str) -> None:
    checkpoint.save(path / "checkpoint.safetensors", boundary)
    tables.write(path, "metrics", boundary["rows"])
    _write_status(path, state, boundary["epoch"])


def _write_status(path: Path, state: str, epoch: int) -> None:
    files.write_json(path / "status.json", {"state": state, "epoch": epoch})


def _keep_snapshot(path: Path, training: Training, before: float) -> None:
    """One of `snapshots` sets of weights, evenly spread over the budget."""
    count = training.settings.training.snapshots
    if int(training.spent * count + 1e-9) > int(before * count + 1e-9):
        name = f"epoch-{training.epoch:04d}.safetensors"
        checkpoint.save_state(path / "snapshots" / name, training.model.state_dict())


def _refuse_other_settings(run: Run, chosen: Settings) -> None:
    old, new = _flat(run.settings.to_dict()), _flat(files.plain(chosen.to_dict()))
    differing = [key for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
    if differing:
        key = differing[0]
        raise ValueError(
            f"{run.path} was made with other settings: {', '.join(differing[:5])} "
            f"({key} was {old.get(key)}, now {new.get(key)}). Choose another --out."
        )


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in files.plain(tree).items():
        flat |= (
            _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
        )
    return flat
