"""landscape audit: one checkpoint held against thresholds; for people and for pipelines."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from landscape_cli import options, user_code
from landscape_cli.errors import on_interrupt

FELL_SHORT = 1


def audit(
    checkpoint: Annotated[
        Path,
        typer.Argument(help="A .pt state dict, .safetensors, or the folder of a run."),
    ],
    model: user_code.Model = None,
    model_args: user_code.ModelArgs = None,
    data: user_code.Data = None,
    data_args: user_code.DataArgs = None,
    loss: user_code.Loss = None,
    require: Annotated[
        list[str] | None,
        typer.Option(help='A threshold, as "noise.accuracy@0.05 >= 0.9"; repeatable.'),
    ] = None,
    requirements: Annotated[
        Path | None,
        typer.Option(help="TOML file: require = [...], and a table of options for each measure."),
    ] = None,
    baseline: Annotated[
        Path | None, typer.Option(help="Another checkpoint of the same model, to compare with.")
    ] = None,
    on_uncertain: Annotated[
        str, typer.Option(help="Where an interval spans a threshold: fail, pass or more (draws).")
    ] = "fail",
    checkpoint_key: options.CheckpointKey = None,
    examples: options.Examples = None,
    batch_norm: options.BatchNorm = "stored",
    device: options.Device = None,
    trust: options.Trust = False,
    config: options.Config = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="MEASURE.OPTION=VALUE", help="One option of a measure; repeatable."
        ),
    ] = None,
    data_dir: options.DataDir = None,
    download: options.Download = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the results.", show_default="audits/NAME")
    ] = None,
    dry_run: options.DryRun = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Measure a checkpoint and hold it against thresholds: exit code 0 all hold, 1 one does not.

    Example: landscape audit model.pt --model mine.py:net --data mine.py:test_set --require
    "noise.accuracy@0.05 >= 0.9"
    """
    import landscape as ls
    from landscape.auditing.page import measured
    from landscape.auditing.run import folder_of
    from landscape.utils.files import read_json
    from landscape_cli import progress

    texts, chosen = _asked(require or [], requirements, config, set_ or [])
    sources: dict[str, Any] = {
        **user_code.sources(model, model_args, data, data_args, loss),
        "data_dir": data_dir,
        "examples": examples,
        "batch_norm": batch_norm,
        "device": device,
    }
    if dry_run:
        from landscape.analysis.checkpoint_spec import CheckpointSpec, objectives_of
        from landscape.auditing.requirements import parse
        from landscape.study import dry_run as plan
        from landscape_cli.plan import show

        spec = CheckpointSpec(**sources)
        subject, other = (
            None if path is None else objectives_of(path, spec, key=checkpoint_key, trust=trust)[0]
            for path in (checkpoint, baseline)
        )
        assert subject is not None
        planned = plan.of_audit(
            subject, [parse(text) for text in texts], folder_of(checkpoint, out),
            baseline=other, options=chosen,
        )  # fmt: skip
        show(planned, json=json, quiet=quiet)
        return
    with on_interrupt("Interrupted. Nothing was written."), progress.shown(json, quiet) as listener:
        found = ls.audit(
            checkpoint,
            texts,
            baseline=baseline,
            on_uncertain=on_uncertain,
            options=chosen,
            **sources,
            checkpoint_key=checkpoint_key,
            out=out,
            trust=trust,
            command=shlex.join(["landscape", *sys.argv[1:]]),
            progress=listener,
        )
    folder = folder_of(checkpoint, out)
    page = folder / "audit.html"
    said = [f"note: {note}" for note in found.notes]
    said += [verdict.line for verdict in found.verdicts] or _numbers(measured(found))
    for line in () if quiet else said:
        typer.echo(line, err=json)
    options.hand_over({**read_json(folder / "audit.json"), "page": page}, page, json)
    if not found.passed:
        raise typer.Exit(FELL_SHORT)


def _numbers(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What was measured, a line each: name, value and interval, where it has one."""
    width = max((len(row["name"]) for row in rows), default=0)
    return [
        f"{row['name']:{width}}  {row['value']:.4g}"
        + (f"  [{row['low']:.4g}, {row['high']:.4g}]" if row["low"] < row["high"] else "")
        for row in rows
    ]


def _asked(
    require: list[str], file: Path | None, config: Path | None, assignments: list[str]
) -> tuple[list[str], Mapping[str, Mapping[str, Any]]]:
    """The requirements, and the options of measures by measure, of the command line and files."""
    from landscape.measures import MEASURES
    from landscape_cli.settings import assigned, from_file, of_measures

    tree = from_file(file) if file else {}
    texts = tree.pop("require", [])
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ValueError(f'{file}: write require = ["accuracy >= 0.9", ...].')
    chosen = of_measures(config, None, None, MEASURES, tree, assigned(assignments))
    return [*texts, *require], chosen
