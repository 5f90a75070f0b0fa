"""landscape train: one run of one method."""

from pathlib import Path
from typing import Annotated

import typer

from landscape_cli import options
from landscape_cli.errors import on_interrupt

GO_ON = "Interrupted. What was trained is kept; the same command with --resume goes on."


def train(
    task: options.Task,
    method: Annotated[str, typer.Option(help="How to train; see: landscape list methods.")],
    seed: Annotated[
        int,
        typer.Option(
            callback=options.at_least(0), help="Sets initialisation, order and held-out split."
        ),
    ] = 0,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the run.", show_default="runs/TASK-METHOD-seedSEED"),
    ] = None,
    config: options.Config = None,
    set_: options.Set = None,
    epochs: options.Epochs = None,
    label_noise: options.LabelNoise = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a stopped run.")] = False,
    snapshots: Annotated[
        int | None,
        typer.Option(callback=options.at_least(0), help="Weights to keep along the way."),
    ] = None,
    measure_every: options.MeasureEvery = None,
    data_dir: options.DataDir = None,
    device: options.Device = None,
    json: options.Json = False,
) -> None:
    """Train one network with one method.

    Example: landscape train --task digits --method sam --set sam.rho=0.1 --out runs/mine
    """
    import landscape as ls
    from landscape_cli import progress, settings

    given = settings.read(
        config, set_, [method],
        label_noise=label_noise, epochs=epochs, snapshots=snapshots, measure_every=measure_every,
        device=device,
    )  # fmt: skip
    with on_interrupt(GO_ON), progress.shown(json) as listener:
        run = ls.train(
            task,
            method,
            seed,
            out,
            settings=given,
            data_dir=data_dir,
            resume=resume,
            progress=listener,
        )
    if run.status["state"] == "diverged":
        typer.echo("The training diverged; its last finite weights are kept.", err=True)
    options.hand_over({"run": run.path, "status": run.status}, run.path, json)
