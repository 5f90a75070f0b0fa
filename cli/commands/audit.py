"""landscape audit: one checkpoint held against thresholds; for people and for pipelines."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from landscape_cli import options, user_code
from landscape_cli.errors import on_interrupt
from landscape_cli.say import say

if TYPE_CHECKING:
    from landscape.auditing.verdicts import Audit

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
    parameters: options.Parameters = None,
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
    suggest: Annotated[
        bool,
        typer.Option(
            "--suggest", help="Write requirements that this checkpoint meets, for its successors."
        ),
    ] = False,
    dry_run: options.DryRun = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Measure a checkpoint and hold it against thresholds: exit code 0 all hold, 1 one does not.

    Example: landscape audit model.pt --model mine.py:net --data mine.py:test_set --require
    "noise.accuracy@0.05 >= 0.9"
    """
    import landscape as ls
    from landscape.auditing.run import folder_of
    from landscape.study.dry_run import of_audit
    from landscape_cli import progress
    from landscape_cli.plan import show

    texts, chosen = _asked(require or [], requirements, config, set_ or [])
    if suggest and texts:
        raise ValueError("`--suggest` makes requirements, so it takes none. Leave out one of them.")
    folder = folder_of(checkpoint, out)
    asked: dict[str, Any] = {
        "baseline": baseline, "options": chosen, "checkpoint_key": checkpoint_key, "out": out,
        "trust": trust,
    }  # fmt: skip
    sources: dict[str, Any] = {
        **user_code.sources(model, model_args, data, data_args, loss),
        "data_dir": data_dir, "examples": examples, "batch_norm": batch_norm, "device": device,
        "parameters": parameters or "",
    }  # fmt: skip
    if dry_run:
        show(of_audit(checkpoint, texts, **asked, **sources), json=json, quiet=quiet)
        return
    with on_interrupt("Interrupted. Nothing was written."), progress.shown(json, quiet) as listener:
        audited = ls.audit(
            checkpoint, texts, **asked, **sources, on_uncertain=on_uncertain,
            command=options.command(), progress=listener,
        )  # fmt: skip
    if suggest:
        _suggest(audited, folder, quiet=quiet or json)
    _hand_over(audited, folder, json=json, quiet=quiet or suggest)


def _suggest(audited: "Audit", folder: Path, *, quiet: bool) -> None:
    """Write requirements.toml into the folder of the audit, and print it."""
    from landscape.auditing.suggest import as_toml, suggested
    from landscape.utils import files

    text = as_toml(suggested(audited))
    files.write(folder / "requirements.toml", text)
    if not quiet:
        say(*text.rstrip().split("\n"), f"note: {folder / 'requirements.toml'} holds these lines.")


def _hand_over(audited: "Audit", folder: Path, *, json: bool, quiet: bool) -> None:
    """Print notes, verdicts or numbers, and the page; exit with FELL_SHORT where one fails."""
    from landscape.auditing.page import measured
    from landscape.utils.files import read_json

    lines = [f"note: {note}" for note in audited.notes]
    lines += [verdict.line for verdict in audited.verdicts] or _numbers(measured(audited))
    for line in () if quiet else lines:
        say(line, err=json)
    page = folder / "audit.html"
    options.hand_over({**read_json(folder / "audit.json"), "page": page}, page, json)
    if not audited.passed:
        raise typer.Exit(FELL_SHORT)


def _numbers(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """List what was measured, a line each: name, value and interval, where it has one."""
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
