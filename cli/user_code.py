"""Options that name the user's own model, data and loss."""

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
        show_default="cross-entropy, squared error or binary cross-entropy, by the targets",
    ),
]


def sources(
    model: str | None,
    model_args: list[str] | None,
    data: str | None,
    data_args: list[str] | None,
    loss: str | None,
) -> dict[str, Any]:
    """The options as keywords of `landscape.analyze`."""
    return {
        "model": model or None,
        "data": data or None,
        "loss": loss or None,
        "model_args": _keywords(model_args or [], "--model-args"),
        "data_args": _keywords(data_args or [], "--data-args"),
    }


def _keywords(pairs: list[str], option: str) -> dict[str, Any]:
    from landscape_cli.settings import literal, shortened

    keywords = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key.strip().isidentifier():
            raise ValueError(f"`{option}` takes key=value. Got {shortened(pair)!r}.")
        keywords[key.strip()] = literal(text.strip(), option)
    return keywords


def task(base: str | None, **given: Any) -> str:
    """The name of the task: `base`, or one with parts of the user's own, which is registered."""
    from landscape.tasks.registration import register_task

    return register_task(base, **sources(**given))


def methods(names: list[str]) -> list[str]:
    """The methods by name, in any case; "mine.py:MySAM" is imported and registered as MySAM."""
    from landscape.tasks.registration import register_methods

    return register_methods(names)


def without_groups(names: list[str]) -> list[str]:
    """The names of methods, each once, with those that "all" and "newer" stand for."""
    from landscape.methods import NEWER, PAPERS

    groups = {"all": PAPERS, "newer": NEWER}
    single = (method for name in names for method in groups.get(name.casefold(), (name,)))
    return list(dict.fromkeys(single))
