"""The part of landscape analyze that measures checkpoints of the user's own."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from landscape_cli import options
from landscape_cli.errors import on_interrupt

EXAMPLES = 1000
GO_ON = "Interrupted. Finished measures are kept; the same command goes on."


def analyze(
    paths: Sequence[Path],
    asked: Sequence[str] | None,
    chosen: Mapping[str, Mapping[str, Any]],
    *,
    out: Path | None,
    key: str | None,
    force: bool,
    to: Path | None,
    dry_run: bool,
    quiet: bool,
    json: bool,
    **sources: Any,
) -> None:
    """Records of each checkpoint in a folder of its own; the last line is the last folder.

    asked: names of measures, None for all that apply; chosen: their settings. sources: for
    `landscape.analysis.sources.Sources`.

    Raises ValueError for one folder to hold several checkpoints.
    """
    from landscape.analysis import checkpoints, hints
    from landscape.analysis.sources import Sources
    from landscape.records import load
    from landscape.study import dry_run as plan
    from landscape_cli import progress
    from landscape_cli.plan import show

    if out is not None and len(paths) > 1:
        raise ValueError(f"`--out` names one folder. Got {len(paths)} checkpoints.")
    named = Sources(**sources)
    about = {name: value for name in ("model", "data", "loss") if (value := sources[name])}
    measures = _measures(asked, chosen, named, to, key)
    made: dict[str, dict[str, Path]] = {}
    for path in paths:
        folder = out or Path("minima") / path.stem
        subject, notes = named.subject(path, key)
        for note in () if quiet else notes:
            typer.echo(f"note: {note}", err=True)
        with on_interrupt(GO_ON), progress.shown(json, quiet) as listener:
            if dry_run:
                planned = plan.of_checkpoint(
                    subject, measures, folder,
                    examples=named.examples, force=force, progress=listener,
                )  # fmt: skip
            else:
                made[str(folder)] = checkpoints.analyze(
                    subject, measures, folder, examples=named.examples, force=force,
                    about={"checkpoint": str(path), **about}, progress=listener,
                )  # fmt: skip
        if dry_run:
            show(planned, json=json, quiet=quiet)
            continue
        fresh = {name: load(record) for name, record in made[str(folder)].items()}
        options.warn(f"{folder}: {line}" for line in hints.of_records(fresh))
    if not dry_run:
        options.hand_over({"records": made}, folder, json)


def _measures(
    asked: Sequence[str] | None,
    chosen: Mapping[str, Mapping[str, Any]],
    named: Any,
    to: Path | None,
    key: str | None,
) -> dict[str, Any]:
    """The measures by name, with their settings and the points that they call for."""
    from landscape.analysis.runs import measure_with
    from landscape.measures import MEASURES

    names = [name for name in MEASURES if name != "path" or to] if asked is None else asked
    given = {name: dict(chosen.get(name, {})) for name in names}
    directions = given.get("surface", {}).get("directions")
    if directions in ("trajectory", "minima"):
        raise ValueError(
            f"A surface with directions {directions} is drawn of runs, not checkpoints."
        )
    if "path" in given:
        if to is None:
            raise ValueError("A path needs its other end: --to CHECKPOINT.")
        given["path"] |= {"end": named.subject(to, key)[0].train.w, "name": to.stem}
    return {name: measure_with(name, own) for name, own in given.items()}
