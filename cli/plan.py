"""The plan of a dry run in words: counts at once, rough times after them."""

import math
from typing import TYPE_CHECKING

from landscape_cli.say import say

if TYPE_CHECKING:
    from landscape.study.dry_run import Plan

LAST = "Dry run: nothing was trained, measured or written."


def show(plan: "Plan", *, json: bool, quiet: bool) -> None:
    """Print the plan at once and its rough time when that is known; one object with `json`."""
    from json import dumps

    from landscape.utils.memory import peak_bytes

    width = max((len(part.name) for part in plan.parts), default=0)
    if not (json or quiet):
        say(f"{plan.what}, into {plan.folder}")
        for part in plan.parts:
            kept = f", {part.kept} there already" if part.kept else ""
            say(f"  {part.name:<{width}}  {part.count or 'nothing'} to do{kept}")
        for method, radius in plan.radii.items():
            say(f"  radius of {method}: {radius}")
    seconds, memory = plan.seconds(), peak_bytes()
    if json:
        rows = zip(plan.parts, seconds, strict=True)
        parts = [{"name": p.name, "count": p.count, "kept": p.kept, "seconds": s} for p, s in rows]
        about = {"what": plan.what, "folder": str(plan.folder), "processes": plan.processes}
        about["radii"] = dict(plan.radii)
        total = {"seconds": sum(seconds), "memory": memory}
        say(dumps({"dry_run": True, **about, "parts": parts, **total}))
        return
    if not quiet:
        for part, each in zip(plan.parts, seconds, strict=True):
            if part.count:
                say(f"  {part.name:<{width}}  roughly {duration(each)}")
        shared = f" in {plan.processes} processes" if plan.processes > 1 else ""
        say(f"time: roughly {duration(sum(seconds))}{shared}, from one step")
        held = f"{memory / 2**20:.3g} MiB or more" if memory else "not known here"
        say(f"memory: {held}{' in each' * bool(shared)}, from one step")
    say(LAST)


def duration(seconds: float) -> str:
    """0.034 as "0.034 s", 34.5 as "35 s", 200 as "3 min", 7000 as "1.9 h"."""
    for length, unit in ((3600, "h"), (60, "min")):
        if seconds >= 1.5 * length:
            return f"{seconds / length:.2g} {unit}"
    return f"{seconds:.2g} s" if seconds < 10 else f"{math.ceil(seconds)} s"
