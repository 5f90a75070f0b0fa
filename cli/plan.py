"""The plan of a dry run in words: counts first, then times."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import typer

from landscape_cli.progress import clock

if TYPE_CHECKING:
    from landscape.study.dry_run import Plan

MEBI = 2**20
LAST = "Dry run: nothing was trained, measured or written."


def show(plan: "Plan", *, json: bool, quiet: bool) -> None:
    """Print the plan at once and its time when that is known; as one object with `json`.

    The last line says that it was a dry run.
    """
    from json import dumps

    if not (json or quiet):
        typer.echo("\n".join(_counted(plan)))
    timed = plan.timed()
    if json:
        typer.echo(dumps(_tree(timed), default=str))
    else:
        typer.echo("\n".join([LAST] if quiet else [*_timed(timed), LAST]))


def _tree(plan: "Plan") -> dict[str, Any]:
    named = ("name", "count", "kept", "seconds", "note")
    parts = [{name: getattr(part, name) for name in named} for part in plan.parts]
    rest = ("what", "folder", "processes", "memory", "sizes", "seconds")
    return {"dry_run": True, "parts": parts, **{name: getattr(plan, name) for name in rest}}


def _counted(plan: "Plan") -> Iterator[str]:
    yield f"{plan.what}, into {plan.folder}"
    wide = max((len(part.name) for part in plan.parts), default=0)
    for part in plan.parts:
        there = f", {part.kept} there already" if part.kept else ""
        yield f"  {part.name:<{wide}}  {part.count or 'nothing'} to do{there}"


def _timed(plan: "Plan") -> Iterator[str]:
    wide = max((len(part.name) for part in plan.parts), default=0)
    for part in (part for part in plan.parts if part.count):
        note = f", {part.note}" if part.note else ""
        yield f"  {part.name:<{wide}}  {part.count} × {duration(part.seconds)}{note}"
    shared = f", in {plan.processes} processes" if plan.processes > 1 else ""
    yield f"time: about {duration(plan.seconds)}{shared}, estimated from one step"
    sizes = ", ".join(f"{name} {_mebi(size)}" for name, size in plan.sizes.items())
    each = " in each process" if plan.processes > 1 else ""
    held = f"about {_mebi(plan.memory)} or more{each}" if plan.memory else "not known here"
    yield f"memory: {held}" + (f" ({sizes})" if sizes else "")


def duration(seconds: float) -> str:
    """0.034 as "0.034 s", 34.5 as "35 s", 345 as "5:45"."""
    if seconds >= 60:
        return clock(seconds)
    return f"{seconds:.2g} s" if seconds < 10 else f"{math.ceil(seconds)} s"


def _mebi(size: int) -> str:
    return f"{size / MEBI:.3g} MiB" if size < 1000 * MEBI else f"{size / MEBI / 1024:.3g} GiB"
