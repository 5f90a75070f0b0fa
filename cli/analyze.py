"""landscape analyze: ask the measures of runs that are there."""

from pathlib import Path
from typing import Annotated, Any

import typer

from landscape_cli import options, user_code
from landscape_cli.errors import on_interrupt

GO_ON = "Interrupted. Finished measures are kept; the same command goes on."


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
        typer.Option(help="Names with commas between.", show_default="all"),
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
    from landscape.analysis import hints
    from landscape.analysis.analyze import cross_check as check
    from landscape.analysis.checkpoint_spec import (
        CheckpointSpec,
        open_minimum,
        refuse_options_of_checkpoints,
    )
    from landscape.measures import MEASURES
    from landscape.records import Record
    from landscape.study.folders import runs_in
    from landscape_cli import cross_check as table
    from landscape_cli import progress, settings

    asked = None if measures is None else options.measure_names(measures)
    if to is not None and asked is not None and "path" not in asked:
        raise ValueError(f"`--to` has no effect: the measures are {', '.join(asked)}.")
    values = {"k": k, "which": which, "backend": backend}
    values = {name: value for name, value in values.items() if value is not None}
    chosen = settings.of_measures(
        config, set_, asked, MEASURES, {"eigenvalues": values} if values else {}
    )
    spec = CheckpointSpec(
        **user_code.sources(model, model_args, data, data_args, loss),
        data_dir=data_dir, examples=examples, batch_norm=batch_norm, device=device,
    )  # fmt: skip
    if model or data:
        if cross_check:
            raise ValueError("`--cross-check` takes runs, not checkpoints.")
        if out is not None and len(subjects) > 1:
            raise ValueError(f"`--out` names one folder. Got {len(subjects)} checkpoints.")
        opened: list[Any] = list(subjects)
    else:
        refuse_options_of_checkpoints(spec, checkpoint_key, out)
        opened = [run for folder in subjects for run in runs_in(folder)]
    among = [] if model or data else opened
    if cross_check and asked is None:
        asked = []

    def minimum_of(subject: Any, folder: Path | None) -> Any:
        return open_minimum(subject, spec, key=checkpoint_key, out=folder, trust=trust)

    end = None if to is None else minimum_of(to, None)
    made: dict[str, dict[str, Path]] = {}
    answered: dict[str, dict[str, Record]] = {}
    checks: dict[str, Any] = {}
    if dry_run:
        from landscape.study import dry_run as plan
        from landscape_cli.plan import show

        minima = [minimum_of(subject, out) for subject in opened]
        planned = plan.of_analysis(minima, asked, force=force, options=chosen, to=end)
        show(planned, json=json, quiet=quiet)
        return
    with on_interrupt(GO_ON), progress.shown(json, quiet) as listener:
        for subject in opened:
            minimum = minimum_of(subject, out)
            for note in () if quiet else minimum.notes:
                typer.echo(f"note: {note}", err=True)
            answered[str(minimum.folder)] = ls.analyze(
                minimum, asked, options=chosen, to=end, among=among, force=force, progress=listener
            )
            made[str(minimum.folder)] = {n: minimum.path(n) for n in answered[str(minimum.folder)]}
            if cross_check:
                checks[str(minimum.folder)] = check(
                    minimum, options=chosen.get("eigenvalues"), progress=listener
                )
    result: dict[str, Any] = {"records": made}
    if cross_check:
        result["cross_check"] = {path: table.values(found) for path, found in checks.items()}
    if not (json or quiet):
        for path, found in checks.items():
            typer.echo("\n".join([path, *table.lines(found), ""]))
    for path, records in answered.items():
        options.warn(f"{path}: {line}" for line in hints.of_records(records))
    last = minimum.folder if model or data else minimum.folder / "records"
    options.hand_over(result, last, json)
