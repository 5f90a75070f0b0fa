"""Describe a folder or file of this program, or a checkpoint, without importing anything that it
refers to.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from landscape.analysis import hints, read_checkpoint
from landscape.methods import METHODS
from landscape.records import Record, load, load_all
from landscape.study.study import Study
from landscape.tasks.registry import TASKS
from landscape.training.run import Run
from landscape.training.settings import SECTIONS
from landscape.utils import files
from landscape.utils.paths import PathLike, as_path

Tree = dict[str, Any]


def describe(path: PathLike, checkpoint_key: str | None = None) -> Tree:
    """Describe a run, a study, an audit, a record (.nc) or a checkpoint as plain values.

    "what" names the kind; further entries are those of the kind: settings that differ from the
    defaults, state, metrics, records, notes, versions. checkpoint_key: the entry of a .pt file
    with the weights, "ema.shadow" for a nested one.

    Raises ValueError where it is none of these.
    """
    path = as_path(path)
    if (path / "study.json").is_file():
        return _of_study(Study(path))
    if (path / "settings.json").is_file():
        return _of_run(Run(path))
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


def _of_run(run: Run) -> Tree:
    started = (run.path / "metrics.jsonl").exists()
    records = run.records() if started else {}
    last = run.metrics[-1] if started else {}
    notes = hints.of_runs([run]) + hints.of_records(records)
    return {
        "what": "run",
        "task": run.settings.task,
        "method": run.settings.method,
        "seed": run.settings.seed,
        **run.status,
        "settings": differing(run),
        "metrics": last,
        "records": {name: str(record) for name, record in records.items()},
        "notes": notes,
        "environment": files.read_json(run.path / "environment.json"),
    }


def _of_study(study: Study) -> Tree:
    plan = study.plan
    states = Counter(run.status["state"] for run in study.runs.values())
    states["not finished"] = len(plan["cells"]) - len(study.runs)
    finished = {key: run for key, run in study.runs.items() if run.status["state"] == "finished"}
    accuracy = {
        method: float(np.mean(found))
        for method in plan["methods"]
        if (
            found := [
                r.metrics[-1]["test_accuracy"] for (m, _), r in finished.items() if m == method
            ]
        )
    }
    kinds = Counter(name for records in study.cells.values() for name in records)
    return {
        "what": "study",
        "task": plan["task"],
        "methods": plan["methods"],
        "seeds": len(plan["seeds"]),
        "budget": plan["budget"],
        "runs": {state: count for state, count in states.items() if count},
        "settings": plan["settings"],
        "test accuracy, mean": accuracy,
        "records": {name: f"of {count} runs" for name, count in kinds.items()},
        "notes": hints.of_seeds(len(plan["seeds"])) + hints.of_runs(study.runs.values()),
        "environment": files.read_json(next(iter(study.runs.values())).path / "environment.json"),
    }


def _of_audit(path: Path) -> Tree:
    found = files.read_json(path / "audit.json")
    kept = load_all(path)
    about = {name: value for name, value in found.get("about", {}).items() if value}
    signed = next(iter(kept.values())).provenance if kept else {}
    return {
        "what": "audit",
        "passed": found["passed"],
        **about,
        "requirements": {
            row["requirement"]: row["outcome"] for row in found.get("requirements", ())
        },
        "records": {name: str(record) for name, record in kept.items()},
        "notes": hints.of_records(kept),
        "environment": signed,
    }


def _of_measured(path: Path) -> Tree:
    kept = load_all(path)
    return {
        "what": "measured checkpoint",
        "records": {name: str(record) for name, record in kept.items()},
        "notes": hints.of_records(kept),
        "environment": next(iter(kept.values())).provenance,
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
        now = vars(getattr(run.settings, section))
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
