"""landscape list: the names that the other commands take, and what stands behind them."""

import json as json_format
from collections.abc import Iterable
from typing import Annotated, Any

import typer

from landscape_cli import options
from landscape_cli.completion import CATALOGUE
from landscape_cli.say import say

Entry = dict[str, Any]


def list_names(
    kind: Annotated[
        str | None,
        typer.Argument(
            metavar="[methods|tasks|measures|figures|models|data|settings|published]",
            help="One kind; all of them without.",
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """List methods, tasks, measures, figures, models, data sets and published settings.

    published: settings of papers with the radius in force of each method, the size of the network,
    what their sources leave open and where ours differs.

    Example: landscape list methods
    """
    from landscape.utils.names import canonical

    known: dict[str, list[Entry]] = json_format.loads(CATALOGUE.read_text(encoding="utf-8"))
    name = canonical("kind", kind, known) if kind else None
    chosen = known if name is None else {name: known[name]}
    if json:
        say(json_format.dumps(chosen))
    else:
        say(*"\n\n".join(_section(*pair) for pair in chosen.items()).split("\n"))


def _section(kind: str, entries: Iterable[Entry]) -> str:
    return "\n".join([kind, *(line for entry in entries for line in _lines(entry))])


def _lines(entry: Entry) -> list[str]:
    settings = ", ".join(f"{key}={_shown(value)}" for key, value in entry["defaults"].items())
    passes, inside = entry.get("passes_per_step"), entry.get("inside")
    details = {
        "passes per step": f"{passes:g} (counted)" if passes is not None else "",
        "cost": entry.get("cost"),
        "defaults": settings,
        "source": entry.get("source"),
        "parameters": f"{entry['parameters']:,}" if "parameters" in entry else "",
        "open": "; ".join(entry.get("open", [])),
        "differs": "; ".join(entry.get("differs", [])),
        "use": entry.get("command"),
        "taken": {True: "where no measures are named", False: "where it is named, or all are"}.get(
            entry.get("standard")  # type: ignore[arg-type]
        ),
        "radius": "; ".join(f"{name}: {radius}" for name, radius in entry.get("radii", {}).items()),
        "takes inside": ", ".join(f"{entry['name']}+{name}" for name in inside or []),
    }
    return [
        f"  {entry['name']:<18} {entry['summary']}",
        *(f"  {'':<18} {name}: {text}" for name, text in details.items() if text),
    ]


def _shown(value: Any) -> Any:
    """A setting's value as Python writes it: JSON makes lists of its tuples."""
    return tuple(map(_shown, value)) if isinstance(value, list) else value
