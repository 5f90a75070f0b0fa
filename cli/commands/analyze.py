"""landscape analyze: ask the measures of runs that are there."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from landscape_cli import completion, options, user_code
from landscape_cli.errors import on_interrupt
from landscape_cli.say import say

if TYPE_CHECKING:
    from landscape.analysis.checkpoint_spec import CheckpointSpec
    from landscape.training.run import Run

GO_ON = "Interrupted. Finished measures are kept; the same command goes on."
MOST = 6  # minima whose outcome is said in sentences


def analyze(
    subjects: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...",
            help="Folders of runs or studies; or checkpoints of your own, with --model and --data.",
        ),
    ],
    measures: Annotated[
        str | None,
        typer.Option(
            help="Names with commas between.",
            show_default="all",
            autocompletion=completion.list_of("measures"),
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Measure again what is there.")] = False,
    examples: options.Examples = None,
    batch_norm: options.BatchNormByMeasure = None,
    model: user_code.Model = None,
    model_args: user_code.ModelArgs = None,
    data: user_code.Data = None,
    data_args: user_code.DataArgs = None,
    loss: user_code.Loss = None,
    checkpoint_key: options.CheckpointKey = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of a checkpoint's records.", show_default="minima/NAME"),
    ] = None,
    device: options.Device = None,
    k: Annotated[int | None, typer.Option("--k", help="Eigenvalues to find.")] = None,
    which: Annotated[
        str | None, typer.Option(help="Which ones: magnitude, largest, smallest or both.")
    ] = None,
    backend: Annotated[
        str | None, typer.Option(help="Who finds them: lanczos, pyhessian or curvlinops.")
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(help="Curvature products on CUDA in ieee or tf32; auto is ieee."),
    ] = None,
    cross_check: Annotated[
        bool,
        typer.Option(
            "--cross-check",
            help="Find eigenvalues by every solver and compare; alone unless --measures is given.",
        ),
    ] = False,
    to: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="The run or checkpoint at the other end of a path."),
    ] = None,
    config: options.Config = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="MEASURE.OPTION=VALUE",
            help="One option of a measure; repeatable. surface.size=25.",
        ),
    ] = None,
    trust: options.Trust = False,
    data_dir: options.DataDir = None,
    download: options.Download = False,
    dry_run: options.DryRun = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Measure the minima of runs, or checkpoints of your own, and keep the records.

    Example: landscape analyze runs/mine --measures eigenvalues,noise --k 20

    Example: landscape analyze model.pt --model mine.py:net --data mine.py:data --measures surface
    """
    import landscape as ls
    from landscape.analysis import hints, outcome
    from landscape.analysis.analyze import cross_check as check
    from landscape.analysis.checkpoint_spec import CheckpointSpec, open_minimum
    from landscape.study.dry_run import of_analysis
    from landscape.utils.files import plain
    from landscape_cli import cross_check as table
    from landscape_cli import progress
    from landscape_cli.plan import show

    eigenvalues = {"k": k, "which": which, "backend": backend}
    asked, chosen = _asked(measures, to, config, set_, eigenvalues, precision)
    spec = CheckpointSpec(
        **user_code.sources(model, model_args, data, data_args, loss),
        data_dir=data_dir, examples=examples, batch_norm=batch_norm, device=device,
    )  # fmt: skip
    opened = _subjects(subjects, spec, checkpoint_key, out, cross_check)
    source: dict[str, Any] = {"key": checkpoint_key, "trust": trust}
    end = None if to is None else open_minimum(to, spec, **source)
    minima = (open_minimum(subject, spec, out=out, **source) for subject in opened)
    asked = [] if cross_check and asked is None else asked
    if dry_run:
        planned = of_analysis(list(minima), asked, chosen, force=force, to=end)
        show(planned, json=json, quiet=quiet)
        return
    among = [run for run in opened if isinstance(run, ls.Run)]
    made: dict[str, dict[str, Path]] = {}
    values: dict[str, dict[str, Any]] = {}
    sentences: list[str] = []
    checks: dict[str, Any] = {}
    warnings: list[str] = []
    with on_interrupt(GO_ON), progress.shown(json, quiet) as listener:
        for minimum in minima:
            for note in () if quiet else minimum.notes:
                say(f"note: {note}", err=True)
            began = time.monotonic()
            records = ls.analyze(
                minimum, asked, options=chosen, to=end, among=among, force=force, progress=listener
            )
            folder = str(minimum.folder)
            last = minimum.run.metrics[-1] if minimum.run else {}
            made[folder] = {name: minimum.path(name, record) for name, record in records.items()}
            values[folder] = last | outcome.values(records) | {"seconds": time.monotonic() - began}
            sentences += [f"{folder}:", *outcome.sentences(records, last)]
            warnings += [f"{folder}: {line}" for line in hints.of_records(records)]
            if cross_check:
                options_ = chosen.get("eigenvalues")
                checks[folder] = check(minimum, options=options_, progress=listener)
    for folder, record in {} if json or quiet else checks.items():
        say(folder, *table.lines(record), "")
    if not json and not quiet and len(made) <= MOST:
        say(*sentences)
    options.warn(warnings)
    compared = {folder: table.values(record) for folder, record in checks.items()}
    result = {"records": made, "values": plain(values)}
    result |= {"cross_check": compared} if cross_check else {}
    options.hand_over(result, Path(folder) / "records" if among else folder, json)


def _asked(
    measures: str | None,
    to: Path | None,
    config: Path | None,
    assignments: list[str] | None,
    eigenvalues: dict[str, Any],
    precision: str | None,
) -> tuple[list[str] | None, dict[str, Any]]:
    """The measures by name, None for all, and their settings."""
    from landscape.measures import MEASURES
    from landscape_cli.settings import of_measures

    asked = None if measures is None else options.measure_names(measures)
    if to is not None and asked is not None and "path" not in asked:
        raise ValueError(f"`--to` has no effect: the measures are {', '.join(asked)}.")
    given = {name: value for name, value in eigenvalues.items() if value is not None}
    further = {"eigenvalues": given} if given else {}
    if precision is not None:
        for name in _with_products(list(MEASURES) if asked is None else asked):
            further.setdefault(name, {})["precision"] = precision
    return asked, of_measures(config, assignments, asked, MEASURES, further)


def _with_products(names: list[str]) -> list[str]:
    """The measures that take curvature products. Raises ValueError where there are none."""
    from landscape.measures import MEASURES

    found = [name for name in names if hasattr(MEASURES[name], "precision")]
    if not found:
        raise ValueError(f"`--precision` has no effect: the measures are {', '.join(names)}.")
    return found


def _subjects(
    paths: list[Path],
    spec: "CheckpointSpec",
    key: str | None,
    out: Path | None,
    cross_check: bool,
) -> "list[Path] | list[Run]":
    """The checkpoints, or the runs in the folders; ValueError for options that do not fit."""
    from landscape.analysis.checkpoint_spec import refuse_options_of_checkpoints
    from landscape.study.folders import runs_in

    if not (spec.model or spec.data):
        refuse_options_of_checkpoints(spec, key, out)
        return [run for folder in paths for run in runs_in(folder)]
    if cross_check:
        raise ValueError("`--cross-check` takes runs, not checkpoints.")
    if out is not None and len(paths) > 1:
        raise ValueError(f"`--out` names one folder. Got {len(paths)} checkpoints.")
    return paths
