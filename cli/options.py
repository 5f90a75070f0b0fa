"""Options that several commands share, and how a command hands over what it made."""

import json as json_format
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from landscape_cli import completion
from landscape_cli.say import say


def at_least(least: int) -> Callable[[int | None], int | None]:
    """A check of a number, for typer's `callback`."""

    def check(value: int | None) -> int | None:
        if value is not None and value < least:
            raise typer.BadParameter(f"must be at least {least}. Got {value}.")
        return value

    return check


Task = Annotated[
    str | None,
    typer.Option(
        help="What to train on what; see: landscape list tasks.",
        autocompletion=completion.one_of("tasks"),
    ),
]
Measures = Annotated[
    str | None,
    typer.Option(
        help="Names with commas between; all for every one, see: landscape list measures.",
        show_default="the standard ones",
        autocompletion=completion.list_of("measures"),
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(
        is_eager=True,  # its entries are the defaults of the other options
        callback=lambda context, config: use_config(context, config),
        autocompletion=completion.one_of("settings", before="published:"),
        help="TOML file: options of this command as entries, settings as a table for each "
        "section, method or measure; or published:NAME, see: landscape list settings.",
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="A.B=VALUE",
        help="One setting; repeatable. training.epochs=20, sam.rho=0.1, sam.training.lr=0.05.",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        callback=at_least(1),
        help="Runs at once.",
        show_default="one per core, or per CUDA card",
    ),
]
FirstSeed = Annotated[
    int, typer.Option(callback=at_least(0), help="Seeds are this one and the next.")
]
Epochs = Annotated[int | None, typer.Option(help="Passes over the training data.")]
Protocol = Annotated[
    str | None,
    typer.Option(
        help="lifelong: the classes as a sequence of tasks, with settings of [lifelong]; see the "
        "tasks split-...",
        show_default="the task's",
    ),
]
LabelNoise = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE", help="Share of the training labels to replace by another class, in [0, 1)."
    ),
]
MeasureEvery = Annotated[
    int | None,
    typer.Option(
        callback=at_least(0),
        metavar="STEPS",
        help="Record λ max, trace, gradient and climb every so many steps; some 60 products each.",
    ),
]
Compile = Annotated[
    bool,
    typer.Option(
        "--compile",
        help="Run the passes through torch.compile, where they give the eager numbers; as CUDA "
        "graphs on CUDA, which has not been tried.",
    ),
]
Init = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|RUN|hf:NAME",
        help="Weights to start from; parts that do not fit: --set init.drop=head.*",
    ),
]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N.")]
DataDir = Annotated[
    Path | None,
    typer.Option(envvar="LANDSCAPE_DATA", help="Folder with the data set's files."),
]
Download = Annotated[
    bool,
    typer.Option(
        "--download",
        callback=lambda context, given: allow_download(context, given),
        help="Let data and weights of the Hugging Face hub be fetched.",
    ),
]
Examples = Annotated[
    int | None,
    typer.Option(
        callback=at_least(1),
        help="Examples that the measures look at.",
        show_default="what suits the task, 1000 for most",
    ),
]
Trust = Annotated[
    bool,
    typer.Option("--trust", help="Import your own code that the runs name (model, data, loss)."),
]
BatchNorm = Annotated[str, typer.Option(help="Statistics to use: stored, batch or reestimated.")]
BatchNormByMeasure = Annotated[
    str | None,
    typer.Option(
        help="Statistics to use: stored, batch or reestimated.",
        show_default="stored; reestimated between minima",
    ),
]
Parameters = Annotated[
    str | None,
    typer.Option(
        metavar="PATTERN",
        help="Measure only weights whose name holds this regular expression, as 'lora|head'.",
        show_default="all trainable",
    ),
]
CheckpointKey = Annotated[
    str | None, typer.Option(help="Entry of the .pt file with the weights, as ema.shadow.")
]
Engine = Annotated[
    str,
    typer.Option(
        help="Who runs the work: local (processes of this machine), dask, ray or slurm.",
        autocompletion=completion.engine,
    ),
]
At = Annotated[
    str,
    typer.Option(
        metavar="ADDRESS",
        help="Where the engine's cluster is; auto is the one that is found, or one started here.",
    ),
]
GpusPerCell = Annotated[
    float,
    typer.Option(metavar="SHARE", help="Share of a card that one cell takes; 0.5 puts two on it."),
]
EngineArg = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUE",
        help="Argument of the engine's library; repeatable. walltime=04:00:00, queue=gpu.",
    ),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print nothing but warnings and the last line.")
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        is_eager=True,  # known before the others are checked
        help="Check everything, estimate time and memory, and write nothing.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


def use_config(context: typer.Context, config: Path | None) -> Path | None:
    """Give the command the options in its file."""
    from landscape_cli.config import use

    return use(context, config)


def allow_download(context: typer.Context, given: bool) -> bool:
    """For this process and those that it starts; without it nothing is ever fetched."""
    if given and context.params.get("dry_run"):
        raise typer.BadParameter("a dry run fetches nothing. Leave out one of the two.")
    if given:
        os.environ["LANDSCAPE_DOWNLOAD"] = "1"
    return given


def names(text: str) -> list[str]:
    """A comma-separated list of names, each once."""
    return list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def measure_names(text: str) -> list[str]:
    """A comma-separated list of measures, in any case, each once; "all" but the path between two.

    Raises ValueError for an unknown name.
    """
    from landscape.measures import MEASURES
    from landscape.utils.names import names_of

    if text.strip().lower() == "all":
        return [name for name in MEASURES if name != "path"]
    return names_of("measure", names(text), MEASURES)


def warn(lines: Iterable[str]) -> None:
    """Print a hint on stderr."""
    for line in lines:
        say(f"warning: {line}", err=True)


def command() -> str:
    """The command line of this process, for pages that say what they were made with."""
    return shlex.join(["landscape", *sys.argv[1:]])


def hand_over(result: Mapping[str, Any], path: Path | str, json: bool) -> None:
    """The last line of a command: the path of what it made, or all of `result` as JSON."""
    say(json_format.dumps(result, default=str) if json else path)
