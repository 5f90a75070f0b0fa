"""landscape analyze: ask the measures of runs that are there."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from landscape_cli import completion, options, user_code
from landscape_cli.errors import on_interrupt
from landscape_cli.say import say

if TYPE_CHECKING:
    from landscape.analysis.checkpoint_spec import CheckpointSpec
    from landscape.analysis.minimum import Minimum
    from landscape.records import Record
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
    measures: options.Measures = None,
    force: Annotated[bool, typer.Option("--force", help="Measure again what is there.")] = False,
    examples: options.Examples = None,
    batch_norm: options.BatchNormByMeasure = None,
    parameters: options.Parameters = None,
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
        typer.Option(
            help="Curvature products on CUDA in ieee or tf32; points of surfaces, noise, profiles "
            "and paths in bf16, too, if its error is small; auto is ieee."
        ),
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
    engine: Annotated[
        str,
        typer.Option(
            help="Who computes the rows of surfaces and profiles, draws of noise, points of paths, "
            "probes of densities, directions of Hutchinson's trace: local (processes of this "
            "machine), dask, ray or slurm; the numbers stay.",
            autocompletion=completion.engine,
        ),
    ] = "",
    at: options.At = "auto",
    workers: Annotated[
        int | None,
        typer.Option(callback=options.at_least(1), help="Blocks of rows at once, of an engine."),
    ] = None,
    gpus_per_cell: options.GpusPerCell = 1.0,
    engine_arg: options.EngineArg = None,
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

    Under torchrun the data lie on all ranks: torchrun --nproc-per-node 2 --no-python landscape
    analyze ...

    Example: landscape analyze runs/mine --measures eigenvalues,noise --k 20

    Example: landscape analyze model.pt --model mine.py:net --data mine.py:data --measures surface
    """
    import landscape as ls
    from landscape.analysis.analyze import cross_check as check
    from landscape.analysis.checkpoint_spec import CheckpointSpec, open_minimum
    from landscape.distributed.launch import is_first, joined
    from landscape.study.dry_run import of_analysis
    from landscape_cli import engines, progress
    from landscape_cli.plan import show

    runs_rows = engines.made_if_named(engine, at, workers, gpus_per_cell, engine_arg)
    eigenvalues = {"k": k, "which": which, "backend": backend}
    asked, chosen = _asked(measures, to, config, set_, eigenvalues, precision)
    spec = CheckpointSpec(
        **user_code.sources(model, model_args, data, data_args, loss),
        data_dir=data_dir, examples=examples, batch_norm=batch_norm, device=device,
        parameters=parameters or "",
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
    answers: list[_Answer] = []
    json, quiet = json and is_first(), quiet or not is_first()
    with on_interrupt(GO_ON), joined(device), progress.shown(json, quiet) as listener:
        for minimum in minima:
            for note in () if quiet else _notes(minimum, asked, chosen):
                say(f"note: {note}", err=True)
            began = time.monotonic()
            records = ls.analyze(
                minimum,
                asked,
                options=chosen,
                to=end,
                among=among,
                force=force,
                engine=runs_rows,
                progress=listener,
            )
            answers.append(_answer(minimum, records, time.monotonic() - began))
            if cross_check:
                of_check = chosen.get("eigenvalues")
                answers[-1].check = check(minimum, options=of_check, progress=listener)
    if is_first():
        _hand_over(answers, runs=bool(among), json=json, quiet=quiet)


@dataclass
class _Answer:
    """Values that a command hands over of one minimum; the network and its data are not kept.

    check: the record of a cross-check, where one was asked for.
    """

    folder: str
    records: dict[str, Path]
    values: dict[str, Any]
    sentences: list[str]
    warnings: list[str]
    check: Any = None


def _answer(minimum: "Minimum", records: "Mapping[str, Record]", seconds: float) -> _Answer:
    """Take from a minimum and its records what is handed over."""
    from landscape.analysis import hints, outcome

    last = minimum.run.metrics[-1] if minimum.run else {}
    return _Answer(
        str(minimum.folder),
        {name: minimum.path(name, record) for name, record in records.items()},
        last | outcome.values(records) | {"seconds": seconds},
        outcome.sentences(records, last),
        hints.of_records(records),
    )


def _notes(minimum: "Minimum", asked: Sequence[str] | None, chosen: Mapping[str, Any]) -> list[str]:
    """Say how the weights were read, and the memory that eigenvalues of a large network take."""
    from landscape.analysis.analyze import measure_of
    from landscape.measures.curvature.vector_memory import vector_memory

    if asked is not None and "eigenvalues" not in asked:
        return list(minimum.notes)
    task = None if minimum.run is None else minimum.run.task
    measure = measure_of(task, "eigenvalues", chosen)
    line = vector_memory(minimum.objectives.train, measure)
    return [*minimum.notes, *([line] if line else [])]


def _hand_over(answers: Sequence[_Answer], *, runs: bool, json: bool, quiet: bool) -> None:
    """Print cross-checks, sentences and warnings, and at the end the folder or everything."""
    from landscape.utils.files import plain
    from landscape_cli import cross_check as table

    checked = [answer for answer in answers if answer.check is not None]
    if not json and not quiet:
        for answer in checked:
            say(answer.folder, *table.lines(answer.check), "")
        for answer in answers if len(answers) <= MOST else ():
            say(f"{answer.folder}:", *answer.sentences)
    options.warn(f"{answer.folder}: {line}" for answer in answers for line in answer.warnings)
    result: dict[str, Any] = {
        "records": {answer.folder: answer.records for answer in answers},
        "values": plain({answer.folder: answer.values for answer in answers}),
    }
    if checked:
        result["cross_check"] = {answer.folder: table.values(answer.check) for answer in checked}
    folder = answers[-1].folder
    options.hand_over(result, Path(folder) / "records" if runs else folder, json)


def _asked(
    measures: str | None,
    to: Path | None,
    config: Path | None,
    assignments: list[str] | None,
    eigenvalues: dict[str, Any],
    precision: str | None,
) -> tuple[list[str] | None, dict[str, Any]]:
    """The measures by name, None for the standard ones, and their settings."""
    from landscape.measures import MEASURES, STANDARD
    from landscape_cli.settings import of_measures

    asked = None if measures is None else options.measure_names(measures)
    if to is not None and asked is not None and "path" not in asked:
        raise ValueError(f"`--to` has no effect: the measures are {', '.join(asked)}.")
    given = {name: value for name, value in eigenvalues.items() if value is not None}
    further = {"eigenvalues": given} if given else {}
    if precision is not None:
        for name in _of_precision(list(STANDARD) if asked is None else asked):
            further.setdefault(name, {})["precision"] = precision
    return asked, of_measures(config, assignments, asked, MEASURES, further)


def _of_precision(names: list[str]) -> list[str]:
    """The measures that have an arithmetic to choose. Raises ValueError where there are none."""
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
