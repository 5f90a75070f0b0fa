"""landscape compare: methods x seeds on one task, from nothing to the report."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from landscape_cli import completion, options, user_code
from landscape_cli.errors import on_interrupt
from landscape_cli.say import say

if TYPE_CHECKING:
    from landscape.study.design import Design
    from landscape.study.pool import Failure

CELLS_FAILED = 1
GO_ON = "Interrupted. Finished cells are kept; the same command goes on."


def compare(
    task: options.Task = None,
    methods: Annotated[
        str,
        typer.Option(
            help="Names with commas between; all is nine, newer five more; sam@wide is a "
            "variant; file.py:Class is your own.",
            autocompletion=completion.list_of("methods"),
        ),
    ] = "all",
    model: user_code.Model = None,
    model_args: user_code.ModelArgs = None,
    data: user_code.Data = None,
    data_args: user_code.DataArgs = None,
    loss: user_code.Loss = None,
    seeds: Annotated[
        int, typer.Option(callback=options.at_least(1), help="Runs per method; the same for all.")
    ] = 6,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the study.", show_default="runs/TASK")
    ] = None,
    config: options.Config = None,
    set_: options.Set = None,
    init: options.Init = None,
    epochs: options.Epochs = None,
    budget: Annotated[
        str | None,
        typer.Option(help="What is equal for all: epochs (the default) or grad-evals."),
    ] = None,
    protocol: options.Protocol = None,
    label_noise: options.LabelNoise = None,
    grid: Annotated[
        list[str] | None,
        typer.Option(
            metavar="A.B=V,V",
            help="Values to choose from on held-out data, with as many trials for every method; "
            "repeatable. sam.rho=.02,.05,.1, training.lr=.05,.1.",
        ),
    ] = None,
    tune_seeds: Annotated[
        int, typer.Option(callback=options.at_least(1), help="Seeds of a trial, not the study's.")
    ] = 1,
    tuned_as: Annotated[
        list[str] | None,
        typer.Option(
            metavar="VARIANT=METHOD",
            help="Variant that takes what the grid chose for another one; repeatable. "
            "sam@longer=sam.",
        ),
    ] = None,
    first_seed: options.FirstSeed = 0,
    controls: Annotated[
        bool,
        typer.Option(
            "--controls", help="Add SAM with the radius and learning rate of each lookbehind."
        ),
    ] = False,
    workers: options.Workers = None,
    part: Annotated[
        str | None,
        typer.Option(
            metavar="K/N",
            help="Run every N-th cell from the K-th on, for arrays of jobs; then: landscape "
            "report STUDY.",
        ),
    ] = None,
    engine: options.Engine = "local",
    at: options.At = "auto",
    gpus_per_cell: options.GpusPerCell = 1.0,
    engine_arg: options.EngineArg = None,
    measures: options.Measures = None,
    examples: options.Examples = None,
    measure_every: options.MeasureEvery = None,
    compiled: options.Compile = False,
    data_dir: options.DataDir = None,
    download: options.Download = False,
    device: options.Device = None,
    dry_run: options.DryRun = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Train with several methods, analyse the minima, compare them, write the report.

    What is already there is kept, so the same command goes on after a stop.

    Example: landscape compare --task digits --methods sgd,sam --seeds 6
    """
    import landscape as ls
    from landscape.analysis import hints
    from landscape.study.design import Design, askable
    from landscape.study.dry_run import of_study
    from landscape_cli import engines, progress, settings
    from landscape_cli.plan import show

    chosen = user_code.methods(user_code.without_groups(options.names(methods)))
    of = user_code.task(
        task, model=model, model_args=model_args, data=data, data_args=data_args, loss=loss
    )
    asked = None if measures is None else options.measure_names(measures)
    tree = settings.read(
        config, set_, chosen, measures=askable(), asked=asked,
        label_noise=label_noise, init=init, protocol=protocol, epochs=epochs,
        budget=budget, measure_every=measure_every, device=device, compile=compiled or None,
    )  # fmt: skip
    design: dict[str, Any] = {
        "settings": {name: tree[name] for name in tree if name not in askable()},
        "options": {name: tree[name] for name in tree if name in askable()},
        "grid": settings.grid(grid or [], chosen),
        "tune_seeds": tune_seeds, "controls": controls, "measures": asked,
        "examples": examples, "data_dir": data_dir,
        "tuned_as": settings.pairs(tuned_as or [], "--tuned-as"), "first_seed": first_seed,
        "engine": engines.made(engine, at, workers, gpus_per_cell, engine_arg),
    }  # fmt: skip
    folder = out or Path("runs") / of
    if dry_run:
        planned = of_study(Design(of, chosen, seeds, folder, **design))
        options.warn(hints.of_seeds(seeds))
        show(planned, json=json, quiet=quiet)
        return
    if part is not None:
        _run_part(Design(of, chosen, seeds, folder, **design), part, json=json, quiet=quiet)
        return
    with on_interrupt(GO_ON), progress.shown(json, quiet) as listener:
        study = ls.compare(
            of, chosen, seeds, folder, **design, command=options.command(), progress=listener
        )
    options.warn([*hints.of_seeds(seeds), *hints.of_runs(study.runs.values())])
    failed = _told(study.failures)
    outcome = study.outcome
    if not json and not quiet:
        say(*outcome)
    made = {"study": study.path, "report": study.report, "failed": failed, "outcome": outcome}
    options.hand_over(made, study.report, json)
    if failed:
        raise typer.Exit(CELLS_FAILED)


def _run_part(design: "Design", text: str, *, json: bool, quiet: bool) -> None:
    """Run a part of a study and hand over the study's folder."""
    from landscape.study.part import Part, run_part
    from landscape_cli import progress

    part = Part.parse(text)
    with on_interrupt(GO_ON), progress.shown(json, quiet) as listener:
        failures = run_part(design, part, options.command(), listener)
    failed = _told(failures)
    if not json and not quiet:
        say(f"Part {text} has ended. After all parts: landscape report {design.path}")
    options.hand_over({"study": design.path, "part": text, "failed": failed}, design.path, json)
    if failed:
        raise typer.Exit(CELLS_FAILED)


def _told(failures: "Iterable[Failure]") -> list[str]:
    """Print each failure on stderr; the lines."""
    failed = [str(failure) for failure in failures]
    for line in failed:
        say(f"error: {line}", err=True)
    return failed
