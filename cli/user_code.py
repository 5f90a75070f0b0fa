"""Options that name the user's own model, data and loss."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from landscape.training.run import Run

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
    """The options as keywords of `Sources`. What they name is imported, so that a wrong name is
    told before anything else.
    """
    from landscape.tasks import imports

    names = {"model": model or "", "data": data or "", "loss": loss or ""}
    if names["loss"] and not imports.is_reference(names["loss"]):
        raise ValueError(f"`--loss` must be {NAMED}. Got {loss!r}.")
    foreign = [name for name in names.values() if imports.is_reference(name)]
    imports.allow(foreign)
    _look_here()
    for name in foreign:
        imports.imported(name)
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


def task(base: str | None, **given: Any) -> str:
    """The name of the task: `base`, or one with parts of the user's own, which is registered."""
    from landscape.tasks.registration import UserCode, register, user_task

    named = sources(**given)
    if not any(named[key] for key in ("model", "data", "loss")):
        if base is None:
            raise ValueError("What to train? Give --task, or --model and --data.")
        return base
    parts = {key: named[key] for key in ("model", "data", "loss")}
    settings = {"model_settings": named["model_args"], "data_settings": named["data_args"]}
    made = user_task(base, **parts, **settings)
    register(UserCode(task=vars(made)))
    return made.name


def methods(names: list[str]) -> list[str]:
    """The methods by name; "mine.py:MySAM" is imported and known as MySAM from now on."""
    from landscape.tasks import imports
    from landscape.tasks.registration import UserCode, register

    found = []
    for name in names:
        short = name
        if imports.is_reference(name):
            imports.allow([name])
            short = name.rpartition(":")[2]
            _look_here()
            register(UserCode(methods={short: name}))
        found.append(short)
    return found


def trust(runs: "list[Run]") -> None:
    """Allow what the runs say that they are made of to be imported."""
    from landscape.tasks import imports
    from landscape.tasks.registration import UserCode

    _look_here()
    for run in runs:
        imports.allow(UserCode(**run.settings.own).references)


def _look_here() -> None:
    """A console script does not look for modules in the folder it is in."""
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
