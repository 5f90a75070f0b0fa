"""landscape info: what lies in a folder or a file."""

import json as json_format
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from landscape_cli import options
from landscape_cli.say import say

MOST = 12  # lines of shapes


def info(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH", help="A run, a study, an audit, a record (.nc) or a checkpoint."
        ),
    ],
    checkpoint_key: options.CheckpointKey = None,
    json: options.Json = False,
) -> None:
    """Say what it is: settings that differ from the defaults, state, metrics, records, versions.

    Example: landscape info runs/mine
    """
    import landscape as ls
    from landscape.utils.files import plain

    found = ls.describe(path, checkpoint_key)
    if json:
        say(json_format.dumps(plain(found)))
    else:
        say(*_lines(path, found))


def _lines(path: Path, found: Mapping[str, Any]) -> Iterator[str]:
    head = dict(found)
    outcome = head.pop("outcome", ())
    yield f"{path}: {head.pop('what')}"
    for name, value in head.items():
        if not value and value is not False and value != 0:
            continue
        title = name.replace("_", " ")
        if isinstance(value, Mapping):
            yield title
            yield from _table(value)
        elif name == "notes":
            yield from (f"note: {note}" for note in value)
        else:
            listed = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            yield f"{title}: {listed}"
    yield from outcome


def _table(values: Mapping[str, Any]) -> Iterator[str]:
    wide = max(map(len, values))
    flat = [f"  {name:<{wide}}  {_text(value)}" for name, value in values.items()]
    yield from flat if len(flat) <= 2 * MOST else flat[:MOST]
    if len(flat) > 2 * MOST:
        yield f"  ... and {len(flat) - MOST} more"


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_text(inner)}" for name, inner in value.items())
    return str(value)
