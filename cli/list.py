"""landscape list: the names that the other commands take, and what stands behind them."""

import inspect
import json as json_format
from collections.abc import Callable, Iterable
from dataclasses import MISSING, fields, is_dataclass
from typing import Annotated, Any

import typer

from landscape_cli import options

Entry = dict[str, Any]


def list_names(
    kind: Annotated[
        str | None,
        typer.Argument(
            metavar="[methods|tasks|measures|models|data|settings]",
            help="One kind; all of them without.",
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """What there is: methods, tasks, measures, models, data sets and published settings.

    Example: landscape list methods
    """
    from landscape.utils.names import look_up

    known = _catalogues()
    chosen = {kind: look_up("kind", kind, known)} if kind else known
    found = {name: entries() for name, entries in chosen.items()}
    if json:
        typer.echo(json_format.dumps(found, default=str))
    else:
        typer.echo("\n\n".join(_section(*pair) for pair in found.items()))


def _catalogues() -> dict[str, Callable[[], list[Entry]]]:
    """How to list each kind; a kind is imported only when it is asked for."""
    return {
        "methods": _methods,
        "tasks": _tasks,
        "measures": lambda: _described(_registry("measures", "MEASURES")),
        "models": lambda: _described(_registry("models", "MODELS")),
        "data": lambda: _described(_registry("data", "DATA")),
        "settings": _settings,
    }


def _registry(module: str, name: str) -> dict[str, Any]:
    from importlib import import_module

    return getattr(import_module(f"landscape.{module}"), name)


def _methods() -> list[Entry]:
    from landscape.methods import METHODS, options
    from landscape.training.passes import nests, passes_per_step

    entries = _described(METHODS)
    for entry in entries:  # leaves out `over`, which is written lets+asam
        entry["defaults"] = {key: entry["defaults"][key] for key in options(entry["name"])}
        entry["passes_per_step"] = passes_per_step(entry["name"])
        entry["inside"] = nests(entry["name"])
    return entries


def _tasks() -> list[Entry]:
    from landscape.tasks.registry import TASKS

    return [
        {"name": task.name, "summary": task.summary, "defaults": task.defaults}
        for task in TASKS.values()
    ]


def _settings() -> list[Entry]:
    from landscape.tasks import published

    return [
        {"name": name, "defaults": {}, "command": published.command(name), **about}
        for name in published.names()
        for about in [published.read(name)["published"]]
    ]


def _described(registry: dict[str, Any]) -> list[Entry]:
    return [
        {"name": name, "summary": _summary(made), "cost": _cost(made), "defaults": _defaults(made)}
        for name, made in registry.items()
    ]


def _paragraphs(made: Any) -> list[str]:
    text = inspect.getdoc(made) or ""
    return [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]


def _summary(made: Any) -> str:
    return _paragraphs(made)[0]


def _cost(made: Any) -> str:
    costs = (p for p in _paragraphs(made) if p.startswith("Cost: "))
    return next(costs, "").removeprefix("Cost: ")


def _defaults(made: Any) -> dict[str, Any]:
    if not is_dataclass(made):
        return {}
    return {f.name: f.default for f in fields(made) if f.init and f.default is not MISSING}


def _section(kind: str, entries: Iterable[Entry]) -> str:
    return "\n".join([kind, *(line for entry in entries for line in _lines(entry))])


def _lines(entry: Entry) -> list[str]:
    settings = ", ".join(f"{key}={value}" for key, value in entry["defaults"].items())
    passes, inside = entry.get("passes_per_step"), entry.get("inside")
    details = {
        "passes per step": f"{passes:g} (counted)" if passes is not None else "",
        "cost": entry.get("cost"),
        "defaults": settings,
        "source": entry.get("source"),
        "use": entry.get("command"),
        "takes inside": ", ".join(f"{entry['name']}+{name}" for name in inside or []),
    }
    return [
        f"  {entry['name']:<18} {entry['summary']}",
        *(f"  {'':<18} {name}: {text}" for name, text in details.items() if text),
    ]
