"""The engine that options name: `--engine`, `--at`, `--gpus-per-cell`, `--engine-arg`."""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from landscape.engines import Engine


def made(
    name: str, at: str, workers: int | None, gpus_per_cell: float, arguments: Iterable[str] | None
) -> "Engine":
    """Make the engine. Raises ValueError, in one line, for whatever does not fit."""
    from landscape.engines import ENGINES
    from landscape.utils.names import canonical

    kind = ENGINES[canonical("engine", name, ENGINES)]
    return kind(at, workers, gpus_per_cell, dict(map(_assigned, arguments or ())))


def made_if_named(
    name: str, at: str, workers: int | None, gpus_per_cell: float, arguments: Iterable[str] | None
) -> "Engine | None":
    """Make the engine, or None where none is named: this process.

    Raises ValueError for options of an engine without one.
    """
    if name:
        engine = made(name, at, workers, gpus_per_cell, arguments)
        engine.reach()
        return engine
    given = {
        "--at": at != "auto",
        "--workers": workers is not None,
        "--gpus-per-cell": gpus_per_cell != 1.0,
        "--engine-arg": bool(arguments),
    }
    if idle := [option for option, is_given in given.items() if is_given]:
        raise ValueError(f"`{idle[0]}` has no effect without --engine.")
    return None


def _assigned(text: str) -> tuple[str, Any]:
    """Name and value of NAME=VALUE; the value as JSON writes it, else as text: 04:00:00."""
    name, equals, value = text.partition("=")
    if not name.strip() or not equals:
        raise ValueError(f"`--engine-arg` takes name=value. Got {text!r}.")
    try:
        return name.strip(), json.loads(value)
    except json.JSONDecodeError:
        return name.strip(), value.strip()
