"""landscape correlate: does flatness predict generalisation, or forgetting, over a grid?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from landscape_cli import options, user_code
from landscape_cli.errors import on_interrupt
from landscape_cli.say import say

if TYPE_CHECKING:
    from landscape.correlation.study import Plan

GO_ON = "Interrupted. Finished networks are kept; the same command goes on."
LEFT_OUT = 1


def correlate(
    task: options.Task = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the study.", show_default="runs/correlate-TASK")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="TOML file with another grid: task, level, tables of axes and settings.",
            show_default="the committed grid of the task",
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="A small part of the grid: for a first look.")
    ] = False,
    seeds: Annotated[
        int, typer.Option(callback=options.at_least(1), help="Networks of each setting.")
    ] = 1,
    model: user_code.Model = None,
    model_args: user_code.ModelArgs = None,
    data: user_code.Data = None,
    data_args: user_code.DataArgs = None,
    loss: user_code.Loss = None,
    workers: options.Workers = None,
    engine: options.Engine = "local",
    at: options.At = "auto",
    gpus_per_cell: options.GpusPerCell = 1.0,
    engine_arg: options.EngineArg = None,
    data_dir: options.DataDir = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, count the networks, write nothing.")
    ] = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Train a grid of networks to one loss, measure them, correlate flatness with generalisation.

    What is already there is kept, so the same command goes on after a stop. Over a sequence of
    tasks, as split-digits, flatness after the first is correlated with how much of it is forgotten.

    Example: landscape correlate --task digits --quick
    """
    from landscape.correlation import study
    from landscape.correlation.sentences import sentences, table
    from landscape.statistics.network_table import quantity
    from landscape_cli import engines, progress

    base = task
    if any((model, model_args, data, data_args, loss)):
        base = user_code.task(
            task, model=model, model_args=model_args, data=data, data_args=data_args, loss=loss
        )
    by = engines.made(engine, at, workers, gpus_per_cell, engine_arg)
    if dry_run:
        _show(study.planned(base, out, config=config, quick=quick, seeds=seeds, data_dir=data_dir))
        return
    with on_interrupt(GO_ON), progress.shown(json, quiet) as listener:
        done = study.correlate(
            base, out, config=config, quick=quick, seeds=seeds, engine=by,
            data_dir=data_dir, command=options.command(), progress=listener,
        )  # fmt: skip
    answers, said = done.answers, sentences(done.answers)
    options.warn(f"left out: {who}: {why}" for who, why in answers.left_out.items())
    if not (json or quiet):
        for target in answers.targets:
            say("", quantity(target).label.capitalize(), *table(answers, target).splitlines())
        say("", *said)
    made = {"study": done.path, "outcome": said, "left_out": dict(answers.left_out)}
    options.hand_over(made, done.path, json)
    if answers.too_many_left_out:
        raise typer.Exit(LEFT_OUT)


def _show(plan: "Plan") -> None:
    """Print the axes and the numbers of networks."""
    from landscape.correlation.grid import text_of

    grid, count = plan.grid, len(plan.networks)
    stopped = "every network" if plan.networks[0].cell.after is None else "each task"
    say(f"{grid.task}, {stopped} stopped at a training loss of {grid.level:g}, into {plan.path}")
    for path, values in grid.axes.items():
        say(f"  {grid.name(path)}: {', '.join(map(text_of, values))}")
    say(f"  {count} networks, {plan.kept} there already")
    say("Dry run: nothing was trained, measured or written.")
