"""A config file: options of the command as plain entries, settings as tables.

    task = "digits"
    method = "sam"
    [training]
    epochs = 5

Options take the place of their defaults, so the command line wins.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer


def use(context: typer.Context, config: Path | None) -> Path | None:
    """Give the command the options of its file; for typer's `callback`.

    Raises ValueError with every entry that is no option of the command.
    """
    from landscape.utils.names import unknown
    from landscape_cli.settings import from_config, is_option

    if config is None:
        return None
    options = {_spelled(p.name): p for p in context.command.params if p.name}
    known = [name for name in options if name not in ("config", "help")]
    given = {k.replace("-", "_"): v for k, v in from_config(config).items() if is_option(k, v)}
    if wrong := [name for name in given if name not in known]:
        raise ValueError("\n".join(f"{config}: {unknown('option', n, known)}" for n in wrong))
    context.default_map = {
        str(options[name].name): _value(value, many=_many(options[name]))
        for name, value in given.items()
    }
    return config


def _spelled(name: str | None) -> str:
    """The name of a parameter as a file has it: "set" for `set_`."""
    return (name or "").rstrip("_")


def _many(parameter: Any) -> bool:
    return bool(getattr(parameter, "multiple", False)) or parameter.nargs == -1


def _value(value: Any, *, many: bool) -> Any:
    """A value as the command line would have it: text, or texts where an option is repeatable."""
    if isinstance(value, Mapping):
        return [f"{key}={json.dumps(inner)}" for key, inner in value.items()]
    listed = [str(item) for item in value] if isinstance(value, list) else [str(value)]
    return listed if many else ",".join(listed)
