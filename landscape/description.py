"""Describe a folder or file of this program, or a checkpoint, without importing anything that it
refers to.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from landscape.analysis import hints, outcome
from landscape.methods import METHODS
from landscape.records import Record, load, load_sound
from landscape.study.plan import read_plan
from landscape.study.study import Study
from landscape.tasks.registry import TASKS
from landscape.training import read_checkpoint, tables
from landscape.training.run import Run
from landscape.training.settings import SECTIONS, radius_of
from landscape.utils import files, manifest
from landscape.utils.paths import PathLike, as_path, inside

Tree = dict[str, Any]
DAMAGED = (ValueError, OSError, KeyError, TypeError, AttributeError, IndexError)


def describe(path: PathLike, checkpoint_key: str | None = None) -> Tree:
    """Describe a run, a study, an audit, a record (.nc) or a checkpoint as plain values.

    "what" names the kind; further entries are those of the kind: settings that differ from the
    defaults, state, metrics, records, notes, versions; "outcome" has the sentences of what was
    found, "files" says whether the files are what was written. Of a damaged folder what is
    readable; "notes" names the rest.
    checkpoint_key: the entry of a .pt file with the weights, "ema.shadow" for a nested one.

    Raises ValueError where it is none of these, or nothing of it is readable.
    """
    path = as_path(path)
    if (path / "study.json").is_file():
        return _of_study(path)
    if (path / "settings.json").is_file():
        return _of_run(path)
    if (path / "audit.json").is_file():
        return _of_audit(path)
    if path.suffix == ".nc" and path.is_file():
        return {"what": "record", "record": str(load(path)), **_signed(load(path))}
    if any(path.glob("records/*.nc")):
        return _of_measured(path)
    if path.is_dir():
        raise ValueError(
            f"{path} is no run, study or audit: it has no settings.json, study.json or audit.json."
        )
    return _of_checkpoint(read_checkpoint.read(path, checkpoint_key))


class _Reader:
    """Reads the pieces of a folder one by one; `notes` names those that cannot be read."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def __call__(self, read: Callable[[], Any], otherwise: Any) -> Any:
        try:
            return read()
        except DAMAGED as error:
            self.notes.append(f"not readable: {files.one_line(error)}.")
            return otherwise


def _of_run(path: Path) -> Tree:
    reader = _Reader()
    run: Run | None = reader(lambda: Run(path), None)
    table = path / "metrics.jsonl"
    rows = reader(lambda: tables.read(table), []) if table.exists() else []
    last = rows[-1] if rows else {}
    if run is None:
        if not last:
            raise ValueError(reader.notes[0].removeprefix("not readable: "))
        return {"what": "run", "files": _sums(path), "metrics": last, "notes": reader.notes}
    records = reader(run.records, {}) if rows else {}
    notes = reader(lambda: hints.of_runs([run]) + hints.of_records(records), [])
    return {
        "what": "run",
        "task": run.settings.task,
        "method": run.settings.method,
        "seed": run.settings.seed,
        **reader(lambda: run.status, {"state": "unknown"}),
        "files": _sums(path),
        "radius": reader(lambda: radius_of(run.settings), "unknown"),
        "settings": reader(lambda: differing(run), {}),
        "metrics": last,
        "records": {name: str(record) for name, record in records.items()},
        "environment": reader(lambda: files.read_object(path / "environment.json"), {}),
        "notes": reader.notes + notes,
        "outcome": reader(lambda: outcome.of_run(last, records, run.score), []) if last else [],
    }


def _sums(*folders: Path) -> str:
    """Say whether the sealed files of folders are what was written, or which are not."""
    sealed = [folder for folder in folders if (folder / manifest.NAME).exists()]
    if not sealed:
        return "no checksums, as they are not finished or of an older version"
    reader = _Reader()
    damage = [line for folder in sealed for line in reader(partial(manifest.damage, folder), [])]
    return "; ".join([*damage, *reader.notes]) or "all match their checksums"


def _of_study(path: Path) -> Tree:
    plan, reader = read_plan(path), _Reader()
    study: Study | None = reader(lambda: Study(path), None)
    folders = [inside(path, folder) for _, _, folder in plan["cells"]]
    tree: Tree = {
        "what": "study",
        "task": plan["task"],
        "methods": plan["methods"],
        "seeds": len(plan["seeds"]),
        "budget": plan["budget"],
        "files": _sums(path, *folders),
        "settings": plan.get("settings", {}),
    }
    tree |= {} if study is None else reader(partial(_of_runs, study), {})
    return {**tree, "notes": [*reader.notes, *tree.get("notes", [])]}


def _of_runs(study: Study) -> Tree:
    plan = study.plan
    states = Counter(run.status["state"] for run in study.runs.values())
    states["not finished"] = len(plan["cells"]) - len(study.runs)
    finished = {key: run for key, run in study.runs.items() if run.status["state"] == "finished"}
    last: dict[str, list[float]] = {method: [] for method in plan["methods"]}
    for (method, _), run in finished.items():
        last[method].append(run.metrics[-1]["test_accuracy"])
    kinds = Counter(name for records in study.cells.values() for name in records)
    first = next(iter(study.runs.values()))
    means = {m: float(np.mean(values)) for m, values in last.items() if values}
    return {
        "runs": {state: count for state, count in states.items() if count},
        "radius": {method: radius_of(run.settings) for (method, _), run in study.runs.items()},
        f"test {first.score}, mean": means,
        "records": {name: f"of {count} runs" for name, count in kinds.items()},
        "notes": hints.of_seeds(len(plan["seeds"])) + hints.of_runs(study.runs.values()),
        "environment": files.read_object(first.path / "environment.json"),
        "outcome": study.outcome if finished else [],
    }


def _of_audit(path: Path) -> Tree:
    reader = _Reader()
    audit = reader(lambda: files.read_object(path / "audit.json"), {})
    kept, unsound = load_sound(path)
    if not audit and not kept:
        raise ValueError(reader.notes[0].removeprefix("not readable: "))
    about = reader(lambda: {k: v for k, v in audit.get("about", {}).items() if v}, {})
    outcomes = reader(
        lambda: {row["requirement"]: row["outcome"] for row in audit.get("requirements", ())}, {}
    )
    return {
        "what": "audit",
        "passed": audit.get("passed", "unknown"),
        **about,
        "files": _sums(path),
        "requirements": outcomes,
        **_of_records(kept, unsound, reader),
    }


def _of_measured(path: Path) -> Tree:
    kept, unsound = load_sound(path)
    if not kept:
        raise ValueError(f"{unsound[0]} is damaged or was not finished. Measure it again.")
    measured = _of_records(kept, unsound, _Reader())
    return {"what": "measured checkpoint", "files": _sums(path), **measured}


def _of_records(kept: Mapping[str, Record], unsound: Sequence[Path], reader: _Reader) -> Tree:
    left_out = [f"{p} is damaged or was not finished, and is left out." for p in unsound]
    notes = reader(lambda: hints.of_records(kept), [])
    return {
        "records": {name: str(record) for name, record in kept.items()},
        "notes": [*reader.notes, *left_out, *notes],
        "environment": next(iter(kept.values())).provenance if kept else {},
        "outcome": reader(lambda: outcome.sentences(kept, {}), []),
    }


def _of_checkpoint(found: read_checkpoint.Checkpoint) -> Tree:
    tensors = found.tensors
    wrong = [n for n, t in tensors.items() if t.is_floating_point() and not t.isfinite().all()]
    return {
        "what": "checkpoint",
        "tensors": len(tensors),
        "numbers": sum(t.numel() for t in tensors.values()),
        "types": dict(Counter(str(t.dtype).removeprefix("torch.") for t in tensors.values())),
        "shapes": {name: "×".join(map(str, t.shape)) or "1" for name, t in tensors.items()},
        "notes": [
            *found.notes,
            *(f"{name} holds NaN or infinite weights: there is no minimum here." for name in wrong),
        ],
    }


def differing(run: Run) -> Tree:
    """The settings that are not the defaults, {"training.epochs": "5, default 40"}.

    Defaults: those of the task where it is one of ours, else of the program.
    """
    task = TASKS.get(run.settings.task)
    layers = dict(task.defaults) if task and not run.settings.own else {}
    found: Tree = {}
    for section, kind in SECTIONS.items():
        usual = {**vars(kind()), **layers.get(section, {})}
        for part in run.settings.method.split("+"):
            usual |= layers.get(part, {}).get(section, {})
        now = vars(getattr(run.settings, section) or kind())
        found |= {
            f"{section}.{name}": f"{now[name]}, default {usual[name]}"
            for name in now
            if now[name] != usual[name]
        }
    for method, values in run.settings.methods.items():
        usual = vars(METHODS[method]()) if method in METHODS else {}
        found |= {
            f"{method}.{name}": f"{value}, default {usual.get(name, 'unknown')}"
            for name, value in values.items()
            if value != usual.get(name)
        }
    found |= {f"own.{name}": str(value) for name, value in run.settings.own.items() if value}
    return found


def _signed(record: Record) -> Tree:
    return {"settings": dict(record.settings), "environment": dict(record.provenance)}
