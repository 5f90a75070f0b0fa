"""Errors as one clear line on stderr; an internal error keeps its traceback."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

import typer

from landscape_cli.say import say

MEMORY = (
    "Memory ran out. Lower data.batch_size of a training, --examples of measures, surface.size of "
    "surfaces, or --workers of a study."
)
WRONG_INPUT, INTERNAL, INTERRUPTED = 2, 3, 130


class Interrupted(Exception):
    """Ctrl-C, with a line that says what is kept and how to go on."""


@contextmanager
def on_interrupt(message: str) -> Iterator[None]:
    """Say `message` when the user presses Ctrl-C in this block."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(message) from None


def discard(stream: TextIO) -> None:
    """Send all that is written to a stream from now on nowhere, as its reader has gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def reported(command: Callable[[], object]) -> int:
    """Run a command and return its exit code: every foreseen error as one line, without traceback.

    ValueError (several lines: several errors), OSError (no such file, no permission, disk full) and
    memory that runs out are the user's to mend; any other exception passes with its traceback.
    """
    try:
        return _exit_code(command())
    except Interrupted as interrupt:
        say("", interrupt, err=True)
        return INTERRUPTED
    except typer.TyperException as error:
        return _tell(error.format_message(), error.exit_code)
    except ValueError as error:
        return _tell(str(error))
    except BrokenPipeError:  # the work is done; nobody reads the last line
        discard(sys.stdout)
        return 0
    except OSError as error:
        return _tell(_of_the_system(error))
    except (MemoryError, RuntimeError) as error:
        from landscape.utils.memory import ran_out

        if not ran_out(error):
            raise
        return _tell(MEMORY)


def _exit_code(code: object) -> int:
    if code == INTERRUPTED:  # typer's answer to Ctrl-C outside of `on_interrupt`
        say("", "Interrupted.", err=True)
    return code if isinstance(code, int) else 0


def _tell(message: str, code: int = WRONG_INPUT) -> int:
    for line in message.split("\n") if message.strip() else ["unknown error"]:
        if line.strip():
            say(f"error: {line.strip()}", err=True)
    return code


def _of_the_system(error: OSError) -> str:
    """ "runs/digits: Permission denied." out of an OSError; our own messages as they are."""
    if error.strerror is None:
        return str(error)
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror}."
