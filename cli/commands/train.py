"""landscape train: one run of one method."""

from pathlib import Path
from typing import Annotated, Any

import typer

from landscape_cli import completion, options, user_code
from landscape_cli.errors import on_interrupt
from landscape_cli.say import say

GO_ON = "Interrupted. What was trained is kept; the same command with --resume goes on."


def train(
    method: Annotated[
        str,
        typer.Option(
            help="How to train; see: landscape list methods; or file.py:Class.",
            autocompletion=completion.one_of("methods"),
        ),
    ],
    task: options.Task = None,
    model: user_code.Model = None,
    model_args: user_code.ModelArgs = None,
    data: user_code.Data = None,
    data_args: user_code.DataArgs = None,
    loss: user_code.Loss = None,
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
    init: options.Init = None,
    epochs: options.Epochs = None,
    protocol: options.Protocol = None,
    label_noise: options.LabelNoise = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a stopped run.")] = False,
    snapshots: Annotated[
        int | None,
        typer.Option(callback=options.at_least(0), help="Weights to keep along the way."),
    ] = None,
    ascent: Annotated[
        str | None,
        typer.Option(
            metavar="global|per-rank",
            help="Under torchrun: climb by the whole batch (global, the default), or each rank by "
            "its part.",
        ),
    ] = None,
    measure_every: options.MeasureEvery = None,
    compiled: options.Compile = False,
    checkpoint_every: Annotated[
        str,
        typer.Option(
            metavar="STEPS|MINUTES", help="When to keep a checkpoint: 500 (steps) or 10min."
        ),
    ] = "10min",
    log: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help="Write the metrics for tensorboard, wandb or mlflow too, into the run's folder; "
            "comma-separated.",
        ),
    ] = "",
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Short for --log tensorboard.")
    ] = False,
    data_dir: options.DataDir = None,
    download: options.Download = False,
    device: options.Device = None,
    dry_run: options.DryRun = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Train one network with one method.

    Under torchrun it is data parallel: torchrun --nproc-per-node 2 --no-python landscape train ...

    Example: landscape train --task digits --method sam --set sam.rho=0.1 --out runs/mine
    """
    import landscape as ls
    from landscape.analysis import hints, outcome
    from landscape.distributed.launch import is_first
    from landscape.study.dry_run import of_training
    from landscape.training.run import has_ended
    from landscape.training.train import folder_of
    from landscape.utils.files import plain
    from landscape_cli import progress, settings
    from landscape_cli.plan import show

    (named,) = user_code.methods([method])
    chosen = user_code.task(
        task, model=model, model_args=model_args, data=data, data_args=data_args, loss=loss
    )
    given = settings.read(
        config, set_, [named],
        label_noise=label_noise, init=init, protocol=protocol, epochs=epochs, snapshots=snapshots,
        measure_every=measure_every, ascent=ascent, device=device, compile=compiled or None,
    )  # fmt: skip
    asked: dict[str, Any] = {
        "settings": given, "data_dir": data_dir, "resume": resume, "log": options.names(log),
        "tensorboard": tensorboard, "checkpoint_every": checkpoint_every,
    }  # fmt: skip
    if dry_run:
        show(of_training(chosen, named, seed, out, **asked), json=json, quiet=quiet)
        return
    json, quiet = json and is_first(), quiet or not is_first()
    there = has_ended(folder_of(chosen, named, seed, out))
    with on_interrupt(GO_ON), progress.shown(json, quiet) as listener:
        run = ls.train(chosen, named, seed, out, **asked, progress=listener)
    if there and not quiet:
        say(f"note: {run.path} was trained before with these settings.", err=True)
    last = run.metrics[-1]
    if not json and not quiet:
        say(outcome.of_training(last, run.score), *outcome.of_tasks(run.records()))
    if not is_first():
        return
    options.warn(hints.of_runs([run]))
    result = {"run": run.path, "status": run.status, "metrics": plain(last)}
    options.hand_over(result, run.path, json)
