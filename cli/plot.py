"""landscape plot: one figure of the records of runs or of a study."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from landscape_cli import options


def plot(
    folders: Annotated[
        list[Path],
        typer.Argument(
            metavar="FOLDER...", help="Folders of runs or of measured checkpoints, or one study."
        ),
    ],
    kind: Annotated[
        str,
        typer.Option(
            help="curves, spectrum, noise, surface, scene (in 3-D), profile, path or another "
            "measure; of a study also comparison, differences or scatter."
        ),
    ],
    format_: Annotated[
        str,
        typer.Option("--format", help="png, svg or pdf; html for a surface in 3-D to turn around."),
    ] = "png",
    quantity: Annotated[
        str | None, typer.Option(help="Of a surface: loss or accuracy.", show_default="loss")
    ] = None,
    other: Annotated[
        bool, typer.Option("--other", help="Beside it the other data: train and test.")
    ] = False,
    width: Annotated[
        str, typer.Option(help="page, 7 inches, or column, 3.4 inches with a panel a row.")
    ] = "page",
    out: Annotated[
        Path | None, typer.Option(help="Folder of the figure.", show_default="RUN/figures")
    ] = None,
    json: options.Json = False,
) -> None:
    """Draw what was measured: several runs in one figure, on the same axes and colours.

    Example: landscape plot runs/a runs/b --kind surface --format svg
    """
    from landscape.plots import DRAWS, FORMATS, PLOTS, one_column, save
    from landscape.utils.names import look_up

    look_up("format", format_, dict.fromkeys(FORMATS))
    look_up("kind of figure", kind, PLOTS)
    widths: dict[str, Callable[[], AbstractContextManager[None]]]
    widths = {"page": nullcontext, "column": one_column}
    inside = look_up("width", width, widths)
    if (width, format_) == ("column", "html"):
        raise ValueError("`--width` has no effect on html: it fills its window.")
    three = {"relief": "scene", "surface": "scene"} if format_ == "html" else {"scene": "relief"}
    drawn = three.get(kind, kind)
    if drawn != "scene" and format_ == "html":
        raise ValueError(f"html shows a surface in 3-D, and only that. Got {kind}.")
    given = {"quantity": quantity, "other": other}
    chosen = {name: value for name, value in given.items() if value}
    _check(drawn, PLOTS[drawn], chosen)
    with inside():
        figure = PLOTS[drawn](_records(folders, DRAWS[drawn]), **chosen)
    path = save(figure, (out or folders[0] / "figures") / f"{kind}.{format_}")
    options.hand_over({"figure": path}, path, json)


def _check(kind: str, draw: Callable[..., Any], chosen: dict[str, Any]) -> None:
    """ValueError for an option that this kind of figure does not have."""
    from inspect import signature

    for name in chosen.keys() - signature(draw).parameters:
        raise ValueError(f"`--{name}` has no effect on a figure of the kind {kind}.")


def _records(folders: list[Path], kind: str) -> Any:
    """The record of a study, or records by method, of checkpoints by the name of their folder."""
    import landscape as ls
    from landscape.study.folders import records_in

    if kind in ("study", "comparison"):
        study = ls.Study(folders[0])
        return study.record if kind == "study" else study.comparison
    found: dict[str, list[Any]] = {}
    for label, records in records_in(folders):
        if kind in records:
            found.setdefault(label, []).append(records[kind])
    if not found:
        raise ValueError(f"{folders[0]} holds no record of {kind}. {_remedy(folders[0], kind)}")
    return found


def _remedy(folder: Path, kind: str) -> str:
    """What to do to get a record of this kind."""
    import landscape as ls
    from landscape.measures import MEASURES

    if kind == "sharpness_over_training":
        return "Train with --measure-every 50."
    if kind not in MEASURES:
        return "Training writes it, of methods and runs that have it."
    options = f"--measures {kind}" + " --to RUN" * (kind == "path")
    if (folder / "settings.json").is_file():
        options += " --trust" if ls.Run(folder).settings.own else ""
        return f"Measure it: landscape analyze {folder} {options}"
    return f"Measure it: landscape analyze, as before, with {options}"
