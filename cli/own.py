"""Options that name the user's own model, data and loss."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

NAMED = "pkg.mod:name or file.py:name"
Model = Annotated[
    str | None,
    typer.Option(metavar="NAME", help=f"Network: {NAMED}, called to make it; or: list models."),
]
ModelArgs = Annotated[
    list[str] | None,
    typer.Option(metavar="KEY=VALUE", help="A keyword for the model's factory; repeatable."),
]
Data = Annotated[
    str | None,
    typer.Option(metavar="NAME", help=f"Data: {NAMED}, called to load them; or: list data."),
]
DataArgs = Annotated[
    list[str] | None,
    typer.Option(metavar="KEY=VALUE", help="A keyword for the data's loader; repeatable."),
]
Loss = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help=f"Loss (model, batch) -> mean: {NAMED}.",
        show_default="cross-entropy or mean squared error, by the targets",
    ),
]


def sources(
    model: str | None,
    model_args: list[str] | None,
    data: str | None,
    data_args: list[str] | None,
    loss: str | None,
) -> dict[str, Any]:
    """The options as keywords of `Sources`. What they name may be imported from now on."""
    from landscape import references

    names = {"model": model or "", "data": data or "", "loss": loss or ""}
    if names["loss"] and not references.is_reference(names["loss"]):
        raise ValueError(f"`--loss` must be {NAMED}. Got {loss!r}.")
    references.allow(name for name in names.values() if references.is_reference(name))
    if str(Path.cwd()) not in sys.path:  # a console script does not look in the folder it is in
        sys.path.insert(0, str(Path.cwd()))
    return {
        **names,
        "model_args": _keywords(model_args or [], "--model-args"),
        "data_args": _keywords(data_args or [], "--data-args"),
    }


def _keywords(pairs: list[str], option: str) -> dict[str, Any]:
    from landscape_cli.settings import literal

    found = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key.strip().isidentifier():
            raise ValueError(f"`{option}` takes key=value. Got {pair!r}.")
        found[key.strip()] = literal(text.strip())
    return found
