"""The plan of a study, study.json: what is to be trained, and what failed."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from landscape.study.cell import Cell
from landscape.study.design import Design
from landscape.study.tuning import Tuning
from landscape.utils import files, manifest

NAMED = 6  # missing runs that a note names
PLAN: dict[str, type] = {
    "task": str, "methods": list, "seeds": list, "budget": str, "command": str,
    "cells": list,
}  # fmt: skip


def read_plan(folder: Path) -> dict[str, Any]:
    """The contents of study.json.

    Raises ValueError where it differs from what was written, or lacks something.
    """
    path = folder / "study.json"
    if not manifest.may_be_read(folder, path.name):
        raise ValueError(
            f"{path} is damaged or was not finished: its checksum differs. "
            "The same compare makes it anew, and keeps all runs."
        )
    plan = files.read_object(path, **PLAN)
    for cell in plan["cells"]:
        if not isinstance(cell, list) or [type(v) for v in cell] != [str, int, str]:
            raise ValueError(f"{path} is damaged: a cell is a method, a seed and a folder.")
    return plan


def plan_of(
    design: Design,
    tuning: Tuning,
    words: Mapping[str, str],
    cells: Sequence[Cell],
    command: str,
    runs_at_once: int | None,
) -> dict[str, Any]:
    """The contents of study.json before anything runs.

    words: what each control is. runs_at_once: runs that share the machine; None: unknown.
    """
    return {
        "task": design.task,
        "methods": list(dict.fromkeys(cell.method for cell in cells)),
        "seeds": design.seed_numbers,
        "budget": design.training.budget,
        "settings": design.settings,
        "tuning": tuning.to_dict(),
        "controls": words,
        "examples": design.measured,
        "batch_norm": design.batch_norm,
        "command": command,
        "runs_at_once": runs_at_once,
        "cells": [[c.method, c.seed, c.path.relative_to(design.path).as_posix()] for c in cells],
        "failed": [],
    }


def write_plan(folder: Path, plan: Mapping[str, Any]) -> None:
    """Write study.json and note its checksum."""
    content = files.json_bytes(plan)
    manifest.reseal(folder, [], {"study.json": content})
    files.write(folder / "study.json", content)


def most_at_once(plan: Path, now: int) -> int | None:
    """Runs that shared the machine at most, those of interrupted calls included; None: unknown."""
    try:
        before = files.read_object(plan).get("runs_at_once") if plan.exists() else now
    except ValueError:  # damaged, and about to be made anew
        before = None
    return None if before is None else max(before, now)


def missing_runs(plan: Mapping[str, Any], there: Collection[tuple[str, int]]) -> list[str]:
    """A sentence that names the runs of a plan that are not there; none where all are."""
    planned = [(method, seed) for method, seed, _ in plan["cells"]]
    missing = [f"{method}, seed {seed}" for method, seed in planned if (method, seed) not in there]
    if not missing:
        return []
    more = f"; and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
    named = "; ".join(missing[:NAMED]) + more
    return [f"{len(missing)} of {len(planned)} runs are not finished: {named}."]
