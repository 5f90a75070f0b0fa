"""The plan of a study, study.json: what is to be trained, and what failed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from landscape.utils import files, manifest

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
