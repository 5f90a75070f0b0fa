"""The catalogue that `landscape list` prints: kept as JSON, so that a list needs no torch.

    python -m landscape_cli.catalogue

writes it anew, after a change of a registry, a docstring's first paragraph or a default; a test
says when that is due.
"""

import inspect
import json
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from landscape_cli.commands.list import CATALOGUE, Entry


def entries() -> dict[str, list[Entry]]:
    """Every kind of name, from the registries; passes per step counted by running steps."""
    return {
        "methods": _methods(),
        "tasks": _tasks(),
        "measures": _measures(),
        "figures": _described(_registry("plots", "PLOTS")),
        "models": _described(_registry("models", "MODELS")),
        "data": _described(_registry("data", "DATA")),
        "settings": _settings(),
        "published": _published(),
    }


def _measures() -> list[dict[str, Any]]:
    """Those taken where none are named are standard."""
    standard = _registry("measures", "STANDARD")
    entries = _described(_registry("measures", "MEASURES"))
    return [entry | {"standard": entry["name"] in standard} for entry in entries]


def _registry(module: str, name: str) -> Any:
    from importlib import import_module

    return getattr(import_module(f"landscape.{module}"), name)


def _methods() -> list[Entry]:
    from landscape.methods import METHODS, options
    from landscape.methods.radii import describe
    from landscape.training.passes import nests, passes_per_step

    methods = _described(METHODS)
    for entry in methods:  # leaves out `over`, which is written lets+asam
        entry["defaults"] = {key: entry["defaults"][key] for key in options(entry["name"])}
        entry["passes_per_step"] = passes_per_step(entry["name"])
        entry["inside"] = nests(entry["name"])
        names = [entry["name"], *(f"{entry['name']}+{inner}" for inner in entry["inside"])]
        entry["radii"] = {name: describe(name) for name in names}
    return methods


def _tasks() -> list[Entry]:
    from landscape.tasks.registry import TASKS

    return [
        {"name": task.name, "summary": task.summary, "defaults": task.defaults}
        for task in TASKS.values()
    ]


def _settings() -> list[Entry]:
    shown = ("name", "summary", "source", "defaults", "command")
    return [{key: entry[key] for key in shown} for entry in _published()]


def _published() -> list[Entry]:
    from landscape.tasks import published

    return [
        {
            "name": name,
            "defaults": {},
            "command": published.command(name),
            "radii": published.radii_of(name),
            **published.read(name)["published"],
        }
        for name in published.names()
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


def text() -> str:
    """The catalogue as it should stand in its file."""
    return json.dumps(entries(), indent=1, ensure_ascii=False, default=str) + "\n"


if __name__ == "__main__":
    CATALOGUE.write_text(text(), encoding="utf-8")
