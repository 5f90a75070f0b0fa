"""Display of progress: live on a terminal and in a notebook, plain lines anywhere else."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, TextIO

from landscape.utils.progress import WHOLE, Listener, Progress, ProgressAggregator, silent
from landscape.utils.text import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Display
    from rich.progress import TaskID

PAUSE = 5.0  # seconds between two plain lines
ROWS = 8  # of parts in a live display


@contextmanager
def listening(progress: Listener | bool | None) -> Iterator[Listener]:
    """Yield a listener: the caller's own, one that shows progress for True, a silent one else."""
    if progress is True:
        with displayed() as listener:
            yield listener
    else:
        yield progress or silent


@contextmanager
def displayed(
    stream: TextIO | None = None,
    now: Callable[[], float] = time.monotonic,
    gone: Callable[[], None] = lambda: None,
) -> Iterator[Listener]:
    """Yield a listener that shows progress on a stream, by default stdout, or in the notebook.

    gone: is called where nobody reads the stream any more.
    """
    from rich.console import Console

    stream = stream or sys.stdout
    console = Console(file=None if stream is sys.stdout else stream)
    widgets = console.is_jupyter and find_spec("ipywidgets") is not None  # what rich draws with
    if widgets or (console.is_terminal and not console.is_dumb_terminal):
        with _live(console, now) as listener:
            yield listener
    else:
        yield _plain(stream, now, gone)


def line(board: ProgressAggregator, now: float | None = None) -> str:
    """Describe the whole and the part heard last in one line, with the time left from `now` on."""
    left = None if now is None else board.seconds_left(now)
    parts = [f"{board.share:4.0%} {board.name}"]
    if left is not None:
        parts.append(f"{clock(left)} left")
    if board.whole and board.whole.note:
        parts.append(board.whole.note)
    if board.whole and board.whole.stage == WHOLE and board.running:
        latest = list(board.running.values())[-1]
        parts.append(f"{_part(latest)} {latest.share:.0%}")
    return ", ".join(parts)


def clock(seconds: float) -> str:
    """3725.2 as "1:02:05"."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _plain(stream: TextIO, now: Callable[[], float], gone: Callable[[], None]) -> Listener:
    """A line when a stage begins, one every few seconds where something changed, and the end's."""
    board, told, last, shown = ProgressAggregator(), set[str](), 0.0, ""

    def is_new(event: str) -> bool:
        new = event not in told
        told.add(event)
        return new

    def listen(message: Progress) -> None:
        nonlocal last, shown
        board.add(message, now())
        ended = board.whole is message and message.done >= message.total
        news = is_new(message.stage) or (ended and is_new(f"end of {board.name}"))
        changed = line(board) != shown
        if news or (changed and now() - last >= PAUSE):
            try:
                print(printable(line(board, now())), file=stream, flush=True)
            except BrokenPipeError:  # whoever read it has gone; the work goes on
                gone()
            last, shown = now(), line(board)

    return listen


@contextmanager
def _live(console: "Console", now: Callable[[], float]) -> Iterator[Listener]:
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn
    from rich.progress import Progress as Display

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[remark]}", markup=False),
    )
    board = ProgressAggregator()
    with Display(*columns, console=console, transient=True) as display:
        whole = display.add_task("starting", total=1.0, remark="")
        parts: dict[str, TaskID] = {}

        def listen(message: Progress) -> None:
            board.add(message, now())
            left = board.seconds_left(now())
            remark = f"{clock(left)} left" if left is not None else ""
            note = board.whole.note if board.whole else ""
            display.update(
                whole,
                description=printable(board.name),
                completed=board.share,
                remark=printable(", ".join(filter(None, (remark, note)))),
            )
            _update_parts(display, board, parts)

        yield listen


def _update_parts(
    display: "Display", board: ProgressAggregator, parts: "dict[str, TaskID]"
) -> None:
    """Draw a thin line per running part, beside the whole."""
    recent = list(board.running.items())[-ROWS:]
    running = {label: message for label, message in recent if message is not board.whole}
    for label in [label for label in parts if label not in running]:
        display.remove_task(parts.pop(label))
    for label, message in running.items():
        name = f"  {printable(_part(message))}"
        if label not in parts:
            parts[label] = display.add_task(name, total=1.0, remark="")
        display.update(
            parts[label],
            description=name,
            completed=message.share,
            remark=printable(message.note),
        )


def _part(message: Progress) -> str:
    if not message.label:
        return message.stage
    return message.label if ":" in message.label else f"{message.label}: {message.stage}"
