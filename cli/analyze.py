"""landscape analyze: ask the measures of runs that are there."""

from pathlib import Path
from typing import Annotated, Any

import typer

from landscape_cli import options, user_code
from landscape_cli.errors import on_interrupt


def analyze(
    runs: Annotated[
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
    batch_norm: options.BatchNorm = "stored",
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
    from landscape.analysis.runs import analyze as analyze_run
    from landscape.analysis.runs import cross_check as check_run
    from landscape_cli import checkpoints, progress
    from landscape_cli import cross_check as table
    from landscape_cli.folders import runs_in

    asked = None if measures is None else options.names(measures)
    if to is not None and asked is not None and "path" not in asked:
        raise ValueError(f"`--to` has no effect: the measures are {', '.join(asked)}.")
    chosen = _options(asked, set_ or [], k=k, which=which, backend=backend)
    if model or data:
        if cross_check:
            raise ValueError("`--cross-check` takes runs, not checkpoints.")
        checkpoints.analyze(
            runs, asked, chosen, out=out, key=checkpoint_key, force=force, to=to, dry_run=dry_run,
            quiet=quiet, json=json, batch_norm=batch_norm, data_dir=data_dir, device=device,
            examples=checkpoints.EXAMPLES if examples is None else examples,
            **user_code.sources(model, model_args, data, data_args, loss),
        )  # fmt: skip
        return
    foreign = {"out": out, "loss": loss, "checkpoint-key": checkpoint_key, "device": device}
    for name in (name for name, value in foreign.items() if value is not None):
        raise ValueError(f"`--{name}` is for checkpoints: it needs --model and --data.")
    opened = [run for folder in runs for run in runs_in(folder)]
    if trust:
        user_code.trust(opened)
    if cross_check and asked is None:
        asked = []
    end = None if to is None else ls.Run.open(to)
    made: dict[str, dict[str, Path]] = {}
    checks: dict[str, Any] = {}
    if dry_run:
        from landscape.study import dry_run as plan
        from landscape_cli.plan import show

        with progress.shown(json, quiet) as listener:
            planned = plan.of_analysis(
                opened, asked, force=force, examples=examples, batch_norm=batch_norm,
                options=chosen, to=end, data_dir=data_dir, progress=listener,
            )  # fmt: skip
        show(planned, json=json, quiet=quiet)
        return
    with on_interrupt(checkpoints.GO_ON), progress.shown(json, quiet) as listener:
        for run in opened:
            made[str(run.path)] = analyze_run(
                run,
                asked,
                force=force,
                examples=examples,
                batch_norm=batch_norm,
                options=chosen,
                among=opened,
                to=end,
                data_dir=data_dir,
                progress=listener,
            )
            if cross_check:
                checks[str(run.path)] = check_run(
                    run,
                    examples=examples,
                    batch_norm=batch_norm,
                    options=chosen.get("eigenvalues"),
                    data_dir=data_dir,
                    progress=listener,
                )
    result: dict[str, Any] = {"records": made}
    if cross_check:
        result["cross_check"] = {path: table.values(found) for path, found in checks.items()}
    if not (json or quiet):
        for path, found in checks.items():
            typer.echo("\n".join([path, *table.lines(found), ""]))
    for run in opened:
        records = run.records()
        fresh = {name: records[name] for name in made[str(run.path)] if name in records}
        options.warn(f"{run.path}: {line}" for line in hints.of_records(fresh))
    options.hand_over(result, opened[-1].path / "records", json)


def _options(asked: list[str] | None, assignments: list[str], **eigenvalues: Any) -> dict[str, Any]:
    """Options by measure, of the right types."""
    from landscape.measures import MEASURES
    from landscape.utils.names import look_up
    from landscape_cli.checking import checked
    from landscape_cli.settings import assigned, merged

    given = {key: value for key, value in eigenvalues.items() if value is not None}
    tree = merged(assigned(assignments), {"eigenvalues": given} if given else {})
    for name in tree:
        look_up("measure", name, MEASURES)
        if asked is not None and name not in asked:
            raise ValueError(
                f"An option of {name} has no effect: the measures are {', '.join(asked)}."
            )
    return checked(tree, MEASURES)
