"""landscape plot: one figure of the records of runs or of a study."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from landscape_cli import completion, options
from landscape_cli.say import say

SAME_RECORD = (
    "relief",
    "scene",
    "bowl_scene",
)  # further views of a surface, drawn where they are asked for
KNOWN = ("random", "eigenvectors", "trajectory", "minima", "plane")
ALONG = ("surface", "profile")  # kinds of records that stand beside others along other directions
ONE_PER_PANEL = ("surface", "rise_area")  # kinds of records of which a panel shows one, not a mean


def plot(
    folders: Annotated[
        list[Path],
        typer.Argument(
            metavar="FOLDER...", help="Folders of runs or of measured checkpoints, or one study."
        ),
    ],
    kind: Annotated[
        str | None,
        typer.Option(
            help="curves, spectrum, noise, surface, scene (in 3-D), animation, profile, path or "
            "another measure; of a study also comparison, differences or scatter.",
            show_default="all that was measured",
            autocompletion=completion.one_of("figures"),
        ),
    ] = None,
    format_: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="png, svg or pdf; html for a surface in 3-D to turn around; gif or mp4 of an "
            "animation.",
            show_default="png, or gif",
        ),
    ] = None,
    of: Annotated[
        str | None,
        typer.Option(
            help="Of an animation: bowl, which turns, or trajectory, the training on its surface.",
            show_default="bowl",
        ),
    ] = None,
    quantity: Annotated[
        str | None, typer.Option(help="Of a surface: loss or accuracy.", show_default="loss")
    ] = None,
    other: Annotated[
        bool, typer.Option("--other", help="Beside it the other data: train and test.")
    ] = False,
    minima: Annotated[
        bool, typer.Option("--minima", help="Of a surface: mark its minima and saddles.")
    ] = False,
    directions: Annotated[
        str | None,
        typer.Option(
            help="Of a surface or profile that was measured along several: random, eigenvectors, "
            "trajectory, minima or plane.",
            show_default="random",
        ),
    ] = None,
    width: Annotated[
        str, typer.Option(help="page, 7 inches, or column, 3.4 inches with a panel a row.")
    ] = "page",
    out: Annotated[
        Path | None, typer.Option(help="Folder of the figure.", show_default="RUN/figures")
    ] = None,
    json: options.Json = False,
) -> None:
    """Draw what was measured: several runs in one figure, on the same axes and colours.

    Without --kind every figure that the folders have records for.

    Example: landscape plot runs/a runs/b --kind surface --format svg
    """
    from landscape.plots import DRAWS, FORMATS, PLOTS, one_column, save
    from landscape.utils.names import canonical

    target, paths = out or folders[0] / "figures", []
    if of is not None or (kind or "").casefold() == "animation":
        if (kind or "").casefold() != "animation":
            raise ValueError("`--of` says what an animation shows: --kind animation.")
        path = _animated(folders, of or "bowl", format_ or "gif", target)
        options.hand_over({"figure": path}, path, json)
        return
    format_ = canonical("format", format_ or "png", FORMATS)
    named = None if kind is None else canonical("kind of figure", kind, PLOTS)
    kinds = [named] if named else _measured(folders, format_)
    widths: dict[str, Callable[[], AbstractContextManager[None]]]
    widths = {"page": nullcontext, "column": one_column}
    width = canonical("width", width, widths)
    if (width, format_) == ("column", "html"):
        raise ValueError("`--width` has no effect on html: it fills its window.")
    given = {"quantity": quantity, "other": other, "minima": minima}
    chosen = {name: value for name, value in given.items() if value}
    if kind is None and chosen:
        raise ValueError(f"`--{next(iter(chosen))}` needs the figure it is for: --kind surface.")
    directions = directions and canonical("kind of directions", directions, KNOWN)
    if directions and (named is None or DRAWS[named] not in ALONG):
        raise ValueError("`--directions` is for surfaces and profiles: --kind surface.")
    for name in kinds:
        drawn = _drawn(name, format_, lambda: _has_bowl(folders, directions))
        _check(drawn, PLOTS[drawn], chosen)
        with widths[width]():
            figure = PLOTS[drawn](_records(folders, DRAWS[drawn], directions), **chosen)
        stem = _name(f"{name}-{directions}" if directions else name, folders)
        paths.append(save(figure, target / f"{stem}.{format_}"))
    if kind is None and not json:
        say(*paths)
    made = {"figure": paths[0]} if kind else {"figures": paths}
    options.hand_over(made, target if kind is None else paths[0], json)


def _animated(folders: list[Path], of: str, format_: str, target: Path) -> Path:
    """Draw and save an animation; its path."""
    from landscape.plots import ANIMATIONS, save_animation
    from landscape.utils.names import canonical

    of = canonical("animation", of, ANIMATIONS)
    draw, kind = ANIMATIONS[of]
    records = _records(folders, kind, of if of == "trajectory" else None)
    if of == "trajectory":
        first, *others = [record for found in records.values() for record in found]
        if others:
            raise ValueError(f"A training's animation shows one run. Got {1 + len(others)}.")
        records = first
    return save_animation(draw(records), target / f"{_name(f'animation-{of}', folders)}.{format_}")


def _drawn(kind: str, format_: str, bowl: Callable[[], bool]) -> str:
    """The plot that draws a kind in a format; ValueError where the two do not fit.

    bowl: the areas inside a rise were measured, so that a scene is one of bowls.
    """
    if format_ != "html":
        if kind == "bowl_scene":
            raise ValueError("A bowl to turn around needs --format html.")
        return "relief" if kind == "scene" else kind
    if kind in ("rise_area", "bowl_scene") or (kind == "scene" and bowl()):
        return "bowl_scene"
    if kind not in ("scene", "relief", "surface"):
        raise ValueError(f"html shows a surface in 3-D, and only that. Got {kind}.")
    return "scene"


def _has_bowl(folders: list[Path], directions: str | None) -> bool:
    """The areas inside a rise were measured in every folder, and no other plane is asked for."""
    from landscape.study.folders import records_in

    if directions is not None:
        return False
    having = {folder for folder, _, records in records_in(folders) if "rise_area" in records}
    return having == set(folders)


def _measured(folders: list[Path], format_: str) -> list[str]:
    """Kinds of figures for which every folder holds records, a surface as a map or as a scene.

    Raises ValueError where there is none.
    """
    from landscape.plots import DRAWS
    from landscape.study.folders import records_in

    if format_ == "html":
        return ["scene"]
    held: dict[Path, set[str]] = {}
    for folder, _, records in records_in(folders):
        held.setdefault(folder, set()).update(records)
    shared = set[str].intersection(*held.values())
    if len(folders) == 1 and (folders[0] / "study.json").is_file():
        shared |= {"study", "comparison"}
    kinds = [k for k, record in DRAWS.items() if record in shared and k not in SAME_RECORD]
    if not kinds:
        raise ValueError(f"Nothing was measured yet: landscape analyze {folders[0]}")
    return kinds


def _check(kind: str, draw: Callable[..., Any], chosen: dict[str, Any]) -> None:
    """ValueError for an option that this kind of figure does not have."""
    from inspect import signature

    for name in chosen.keys() - signature(draw).parameters:
        raise ValueError(f"`--{name}` has no effect on a figure of the kind {kind}.")


def _records(folders: list[Path], kind: str, directions: str | None = None) -> Any:
    """The record of a study, or records by method, of checkpoints by the name of their folder.

    directions: of a surface or profile; default the random ones, or the first measured.

    Raises ValueError for a folder without such a record: it is not left out of the figure.
    """
    import landscape as ls
    from landscape.study.folders import records_in

    if kind in ("study", "comparison"):
        if len(folders) > 1:
            raise ValueError(f"A figure of the kind {kind} shows one study. Got {len(folders)}.")
        study = ls.Study(folders[0])
        return study.record if kind == "study" else study.comparison
    held = [
        (folder, label, record)
        for folder, label, records in records_in(folders)
        if (record := _record(records, kind, directions)) is not None
    ]
    having = {folder for folder, _, _ in held}
    for folder in (folder for folder in folders if folder not in having):
        what = f"{kind} along {directions}" if directions else kind
        raise ValueError(f"{folder} holds no record of {what}. {_remedy(folder, kind, directions)}")
    found: dict[str, list[Any]] = {}
    for folder, label, record in held:
        shared = {other for other, name, _ in held if name == label}
        apart = kind in ONE_PER_PANEL and len(shared) > 1
        name = f"{label}@{folder.resolve().name}" if apart else label
        found.setdefault(name, []).append(record)
    return found


def _record(records: Mapping[str, Any], kind: str, directions: str | None) -> Any:
    """The record of a kind, or that along these directions; None where there is none."""
    if directions is None:
        return records.get(kind)
    alike = (r for r in records.values() if r.kind == kind and r.directions == directions)
    return next(alike, None)


def _name(kind: str, folders: list[Path]) -> str:
    """The file's name; that of several folders names the others, so that no figure of the first
    alone is overwritten.
    """
    others = [folder.resolve().name for folder in folders[1:]]
    words = "-".join(others) if len("-".join(others)) <= 100 else f"{len(others)}-others"
    return f"{kind}-with-{words}" if others else kind


def _remedy(folder: Path, kind: str, directions: str | None = None) -> str:
    """Say what to do to get a record of this kind."""
    import landscape as ls
    from landscape.measures import MEASURES

    if kind == "sharpness_over_training":
        return "Train with --measure-every 50."
    if kind == "displacement":
        return "Training writes it where it starts from given weights: --init."
    if kind not in MEASURES:
        return "Training writes it, of methods and runs that have it."
    options = f"--measures {kind}" + " --to RUN" * (kind == "path")
    options += f" --set {kind}.directions={directions}" if directions else ""
    if (folder / "settings.json").is_file():
        options += " --trust" if ls.Run(folder).settings.own else ""
        return f"Measure it: landscape analyze {folder} {options}"
    return f"Measure it: landscape analyze, as before, with {options}"
