"""landscape claims: do the claims of the papers hold here?"""

from pathlib import Path
from typing import Annotated

import typer

from landscape_cli import options
from landscape_cli.errors import on_interrupt
from landscape_cli.say import say

GO_ON = "Interrupted. Finished runs are kept; the same command goes on."


def claims(
    paper: Annotated[
        str | None,
        typer.Option(
            help="Claims of these papers, with commas between: sam, lookbehind, lets, msam, fam, "
            "aace.",
            show_default="all",
        ),
    ] = None,
    study: Annotated[
        str | None,
        typer.Option(
            help="Run only these studies, with commas between; what was run before is judged too.",
            show_default="all that the claims need",
        ),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="An orientation: the digits, six seeds, four trials."),
    ] = False,
    out: Annotated[Path, typer.Option(help="Folder of the studies and of the outcome.")] = Path(
        "runs/claims"
    ),
    first_seed: options.FirstSeed = 0,
    workers: options.Workers = None,
    engine: options.Engine = "local",
    at: options.At = "auto",
    gpus_per_cell: options.GpusPerCell = 1.0,
    engine_arg: options.EngineArg = None,
    data_dir: options.DataDir = None,
    dry_run: options.DryRun = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Test the claims of the papers: train, tune, compare, and say of each whether it holds here.

    All studies take hours; what is there is kept, so the same command goes on after a stop.

    Example: landscape claims --paper lookbehind --quick
    """
    from landscape.claims import run
    from landscape_cli import engines, plan, progress

    papers = None if paper is None else options.names(paper)
    studies = None if study is None else options.names(study)
    chosen = engines.made(engine, at, workers, gpus_per_cell, engine_arg)
    if dry_run:
        to_run, absent = run.runnable(run.planned(papers, studies, quick=quick, out=out)[1])
        for one in to_run:
            try:
                planned = run.plan_of(one, out, data_dir, engine=chosen, first_seed=first_seed)
                plan.show(planned, json=json, quiet=quiet)
            except FileNotFoundError as error:
                absent[one.name] = str(error)
        options.warn([f"{name} is left out: {why.rstrip('.')}." for name, why in absent.items()])
        return
    with on_interrupt(GO_ON), progress.shown(json, quiet) as listener:
        outcome = run.run(
            out, papers, studies, quick=quick, first_seed=first_seed, data_dir=data_dir,
            engine=chosen, command=options.command(), progress=listener,
        )  # fmt: skip
    if not json and not quiet:
        for row in outcome.content["claims"]:
            why = f" ({row['why']})" if row["why"] else ""
            say(f"{row['says']}, {row['words']}: {row['amount']} {row['verdict']}{why}")
        say("", outcome.headline)
    verdicts = [
        {key: row[key] for key in ("name", "study", "verdict", "why")}
        for row in outcome.content["claims"]
    ]
    made = {"claims": outcome.path, "page": outcome.page, "verdicts": verdicts}
    options.hand_over(made, outcome.page, json)
