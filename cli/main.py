"""`landscape`: every command in its own file, and the one entry of the console script."""

import os
import signal
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

from landscape.utils.processes import spare_other_programs
from landscape_cli import errors
from landscape_cli.commands.analyze import analyze
from landscape_cli.commands.audit import audit
from landscape_cli.commands.claims import claims
from landscape_cli.commands.compare import compare
from landscape_cli.commands.correlate import correlate
from landscape_cli.commands.info import info
from landscape_cli.commands.list import list_names
from landscape_cli.commands.plot import plot
from landscape_cli.commands.report import report
from landscape_cli.commands.train import train
from landscape_cli.commands.view import view
from landscape_cli.say import accept_every_sign, say

app = typer.Typer(
    name="landscape",
    help="What kind of minimum did your optimizer find?\n\n"
    "Train a network with several methods, measure the minimum of each, compare them.\n\n"
    "Start with: landscape compare --task digits\n\n"
    "With your own: landscape analyze model.pt --model mine.py:net --data mine.py:data",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(compare)
app.command()(correlate)
app.command()(train)
app.command()(analyze)
app.command()(plot)
app.command()(audit)
app.command()(report)
app.command()(claims)
app.command()(view)
app.command()(info)
app.command("list")(list_names)


@app.callback(invoke_without_command=True)
def landscape(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Options that stand before the command."""
    if version:
        from importlib.metadata import version as installed

        say(installed("landscape"))
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def run(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit: 0 done, 1 an audit that falls short, 2 wrong input, 3 an internal
    error, 130 interrupted.
    """
    for name in ("SIGTERM", "SIGUSR1"):  # preemption, and Slurm's warning before the end
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _interrupt)
    accept_every_sign()
    spare_other_programs()  # before torch is imported
    try:
        code = errors.reported(lambda: app(arguments, standalone_mode=False, prog_name="landscape"))
    except Exception:  # python's own exit code of these, 1, would pass for an audit's verdict
        traceback.print_exc()
        code = errors.INTERNAL
    for name in ("SIGTERM", "SIGUSR1"):  # nothing is left to be kept
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
    if "TORCHELASTIC_RUN_ID" in os.environ and "torch" in sys.modules:
        _end_at_once(code)
    sys.exit(code)


def _end_at_once(code: int) -> None:
    """Exit without Python's clearing up, in which threads of torch.distributed at times abort: all
    is written, and torchrun would take the abort for a failure and start again.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


if __name__ == "__main__":
    run()
