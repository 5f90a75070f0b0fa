"""Progress messages of long work, and their sum; the listener decides how to show them."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from landscape.utils.step_costs import StepCosts

WHOLE = "compare"  # the stage whose messages count the whole work
LEAST, SOON = 0.02, 30.0  # share, or seconds, after which a pace is known
SILENCE = 15.0  # seconds without a message after which a part no longer counts as running


@dataclass(frozen=True)
class Progress:
    """Progress message of long work.

    stage: "train", "measure", "compare" or "report"; label: the cell or measure, such as
    "sam, seed 0"; done of total: in any unit that grows evenly with time; note: a short remark.
    """

    stage: str
    label: str
    done: float
    total: float
    note: str = ""

    @property
    def share(self) -> float:
        """The share that is done, in [0, 1]."""
        return min(1.0, self.done / self.total) if self.total else 1.0


Listener = Callable[[Progress], None]


def silent(progress: Progress) -> None:
    """Ignore the message."""


class ProgressAggregator:
    """Sums up messages: the progress of the whole, and the parts that run.

    jobs: the steps of each job by its label, such as {"sam, seed 0": ("", "noise")}; the whole is
    then counted from the jobs' messages, each step by its time, see `StepCosts`. Without them the
    whole is what messages of the stage "compare" say, or the latest message where there are none.
    label: of the whole. listener: is told what `hear` and `finish` take in, each time followed by
    the whole. clock: the time in seconds, of `hear`.
    """

    def __init__(
        self,
        jobs: Mapping[str, Sequence[str]] | None = None,
        label: str = "",
        listener: Listener = silent,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.whole: Progress | None = None
        self.running: dict[str, Progress] = {}  # by part, the one heard last at the end
        self._heard: dict[str, float] = {}  # when, by part
        self._start = (0.0, 0.0)  # time and share when counting began
        self._work, self._label = StepCosts(dict(jobs or {})), label
        self._listener, self._clock = listener, clock

    def add(self, message: Progress, now: float = 0.0) -> None:
        """Take in one message at the time `now`, in seconds."""
        before, name = self.share, self.name
        if message.stage != WHOLE:
            self._hear(message, now)
        job, _, step = message.label.partition(": ")
        if job in self._work.jobs:
            share = message.done / message.total if message.total else 0.0
            self._work.hear(job, step.replace(" ", "_"), share, now)
            self._count()
        elif message.stage == WHOLE or self.whole is None or self.whole.stage != WHOLE:
            self.whole = message
        if message.stage == WHOLE and self.share >= 1:
            self.running.clear()
        at_the_start = before == self._start[1] == 0 and self.share < LEAST
        if name != self.name or self.share < before or at_the_start:
            self._start = (now, self.share)

    def hear(self, message: Progress) -> None:
        """Take in one message and hand it on."""
        self.add(message, self._clock())
        self._tell(message)

    def finish(self, job: str) -> None:
        """Count a job as done."""
        self._work.finish(job)
        self._count()
        self._tell(Progress("measure", job, 1, 1))

    @property
    def name(self) -> str:
        """The name of the whole, "train: sam, seed 0"."""
        if self.whole is None:
            return ""
        return ": ".join(filter(None, (self.whole.stage, self.whole.label)))

    @property
    def share(self) -> float:
        """The share of the whole that is done, in [0, 1]."""
        return self.whole.share if self.whole else 0.0

    def seconds_left(self, now: float) -> float | None:
        """Seconds to the end at the pace so far; None at the end, and before a pace is known."""
        began, share = self._start
        gained, passed = self.share - share, now - began
        if self.share >= 1 or min(gained, passed) <= 0 or (gained < LEAST and passed < SOON):
            return None
        return passed * (1.0 - self.share) / gained

    def _hear(self, message: Progress, now: float) -> None:
        part = message.label.partition(":")[0]  # "sam, seed 0" of "sam, seed 0: surface"
        self.running.pop(part, None)
        if message.done < message.total:
            self.running[part], self._heard[part] = message, now
        self.running = {k: m for k, m in self.running.items() if now - self._heard[k] < SILENCE}

    def _count(self) -> None:
        before = self.whole.done if self.whole is not None else 0.0
        done = max(before, self._work.done)  # what was told is not taken back
        self.whole = Progress(WHOLE, self._label, done, len(self._work.jobs))

    def _tell(self, message: Progress) -> None:
        self._listener(message)
        if self.whole is not None:
            self._listener(self.whole)
