"""How long work shows: a live display on a terminal, a plain line now and then anywhere else."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress as Display
    from rich.progress import TaskID

    from landscape.utils.progress import Listener, Progress

WHOLE = "compare"  # the stage whose messages count the whole work
PAUSE = 5.0  # seconds between two plain lines
SILENCE = 15.0  # seconds without a message after which a part is no longer shown
ROWS = 8  # of parts on a terminal


class Board:
    """Where the work stands: the whole of it, and the parts that run."""

    def __init__(self) -> None:
        self.whole: Progress | None = None
        self.running: dict[str, Progress] = {}  # by part, the one heard last at the end
        self._heard: dict[str, float] = {}  # when, by part
        self._start = (0.0, 0.0)  # time and share when we began to count

    def see(self, message: "Progress", now: float) -> None:
        """Take in one message at the time `now`, in seconds."""
        before, name = self.share, self.name
        counts = message.stage == WHOLE or self.whole is None or self.whole.stage != WHOLE
        if counts:
            self.whole = message
        if message.stage != WHOLE:
            self._hear(message, now)
        elif self.share >= 1:
            self.running.clear()
        if name != self.name or self.share < before:
            self._start = (now, self.share)

    def _hear(self, message: "Progress", now: float) -> None:
        part = message.label.partition(":")[0]  # "sam, seed 0" of "sam, seed 0: surface"
        self.running.pop(part, None)
        if message.done < message.total:
            self.running[part], self._heard[part] = message, now
        self.running = {k: m for k, m in self.running.items() if now - self._heard[k] < SILENCE}

    @property
    def name(self) -> str:
        """What the whole is called, "train: sam, seed 0"."""
        return _name(self.whole) if self.whole else ""

    @property
    def share(self) -> float:
        """How much of the whole is done, in [0, 1]."""
        return _share(self.whole) if self.whole else 0.0

    def seconds_left(self, now: float) -> float | None:
        """At the pace so far; None at the end, and where nothing is known of it yet."""
        began, share = self._start
        if self.share <= share or self.share >= 1 or now <= began:
            return None
        return (now - began) * (1.0 - self.share) / (self.share - share)

    def line(self, now: float) -> str:
        """The whole and the part heard last, in one line."""
        left = self.seconds_left(now)
        parts = [f"{self.share:4.0%} {self.name}"]
        if left is not None:
            parts.append(f"{clock(left)} left")
        if self.whole and self.whole.note:
            parts.append(self.whole.note)
        if self.whole and self.whole.stage == WHOLE and self.running:
            latest = list(self.running.values())[-1]
            parts.append(f"{_part(latest)} {_share(latest):.0%}")
        return ", ".join(parts)


def clock(seconds: float) -> str:
    """3725.2 as "1:02:05"."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


@contextmanager
def shown(
    json: bool = False, quiet: bool = False, now: Callable[[], float] = time.monotonic
) -> "Iterator[Listener]":
    """A listener that shows progress on stdout; on stderr where stdout belongs to the JSON."""
    if quiet:
        from landscape.utils.progress import silent

        yield silent
        return
    from rich.console import Console

    stream = sys.stderr if json else sys.stdout
    console = Console(file=stream)
    if console.is_terminal and not console.is_dumb_terminal:
        with _live(console, now) as listener:
            yield listener
    else:
        yield _plain(stream, now)


def _plain(stream: TextIO, now: Callable[[], float]) -> "Listener":
    """A line when a stage begins, one every few seconds, and one at the end of the whole."""
    board, told, last = Board(), set[str](), 0.0

    def is_new(event: str) -> bool:
        new = event not in told
        told.add(event)
        return new

    def listen(message: "Progress") -> None:
        nonlocal last
        board.see(message, now())
        ended = board.whole is message and message.done >= message.total
        news = is_new(message.stage) or (ended and is_new(f"end of {board.name}"))
        if news or now() - last >= PAUSE:
            print(board.line(now()), file=stream, flush=True)
            last = now()

    return listen


@contextmanager
def _live(console: object, now: Callable[[], float]) -> "Iterator[Listener]":
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn
    from rich.progress import Progress as Display

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[remark]}"),
    )
    board = Board()
    with Display(*columns, console=console, transient=True) as display:  # type: ignore[arg-type]
        whole = display.add_task("starting", total=1.0, remark="")
        parts: dict[str, TaskID] = {}

        def listen(message: "Progress") -> None:
            board.see(message, now())
            left = board.seconds_left(now())
            remark = f"{clock(left)} left" if left is not None else ""
            note = board.whole.note if board.whole else ""
            display.update(
                whole,
                description=board.name,
                completed=board.share,
                remark=", ".join(filter(None, (remark, note))),
            )
            _update_parts(display, board, parts)

        yield listen


def _update_parts(display: "Display", board: Board, parts: "dict[str, TaskID]") -> None:
    """One thin line per running part, beside the whole."""
    recent = list(board.running.items())[-ROWS:]
    running = {label: message for label, message in recent if message is not board.whole}
    for label in [label for label in parts if label not in running]:
        display.remove_task(parts.pop(label))
    for label, message in running.items():
        if label not in parts:
            parts[label] = display.add_task("", total=1.0, remark="")
        display.update(
            parts[label],
            description=f"  {_part(message)}",
            completed=_share(message),
            remark=message.note,
        )


def _name(message: "Progress") -> str:
    return f"{message.stage}: {message.label}" if message.label else message.stage


def _part(message: "Progress") -> str:
    if not message.label:
        return message.stage
    return message.label if ":" in message.label else f"{message.label}: {message.stage}"


def _share(message: "Progress") -> float:
    return min(1.0, message.done / message.total) if message.total else 1.0
