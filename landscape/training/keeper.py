"""Keep checkpoints of an unfinished run: at steps, at the ends of epochs, and when interrupted."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from landscape.training import checkpoint, tables
from landscape.training.loop import Diverged, Training
from landscape.training.protocols.lifelong import LifelongTraining
from landscape.utils import files

CHECKPOINT = "checkpoint.pt"
FIRST_CHECKPOINT = "checkpoint.safetensors"  # of programs before 0.2
EPOCH_SECONDS = 10.0  # between two checkpoints at the ends of epochs, at least


@dataclass(frozen=True)
class Clock:
    """When a checkpoint is due within an epoch: after so many steps or seconds, which is not 0."""

    steps: int = 0
    seconds: float = 0.0

    @classmethod
    def parse(cls, every: int | str) -> "Clock":
        """500 or "500" are steps, "10min" are minutes.

        Raises ValueError for anything else, and for less than one step or a positive time.
        """
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(min|m)?\s*", str(every))
        if match and match[2] and float(match[1]) > 0:
            return cls(seconds=60 * float(match[1]))
        if match and not match[2] and match[1].isdigit() and int(match[1]) > 0:
            return cls(steps=int(match[1]))
        raise ValueError(
            "`checkpoint_every` must be a number of steps, as 500, or minutes, as 10min. "
            f"Got {every!r}."
        )

    def is_due(self, steps: int, seconds: float) -> bool:
        """Test whether the next checkpoint is due, by steps and seconds since the last one."""
        return steps >= self.steps if self.steps else seconds >= self.seconds


class Keeper:
    """The checkpoint file of one run.

    An interruption between two steps keeps the step; an error inside of a step, when the network
    stands somewhere else, keeps the last state that was taken between steps.
    """

    def __init__(self, path: Path, training: Training | LifelongTraining, clock: Clock):
        self._path, self._training, self._clock = path, training, clock
        self._last = training.boundary()
        self._saved_at, self._saved_step = time.monotonic(), training.steps

    def after_step(self) -> None:
        """Save where a checkpoint is due."""
        steps = self._training.steps - self._saved_step
        if self._clock.is_due(steps, time.monotonic() - self._saved_at):
            self._take()
            self._save("running")

    def after_epoch(self) -> None:
        """Note the end of an epoch; save where the last checkpoint is some time ago."""
        self._take()
        if time.monotonic() - self._saved_at > EPOCH_SECONDS:
            self._save("running")

    @contextmanager
    def saving_on_interrupt(self) -> Iterator[None]:
        """Between two steps: where something stops the training here, this step is kept."""
        try:
            yield
        except BaseException:
            self._take()
            self._save("interrupted")
            raise

    def guarded(self, steps: Iterator[float]) -> Iterator[float]:
        """The steps of an epoch: where one of them fails, the last state before it is kept."""
        while True:
            try:
                spent = next(steps, None)
            except Diverged:
                raise
            except BaseException:
                self._save("interrupted")
                raise
            if spent is None:
                return
            yield spent

    def _take(self) -> None:
        self._last = self._training.boundary()

    def _save(self, state: str) -> None:
        last: dict[str, Any] = self._last
        checkpoint.save(self._path / CHECKPOINT, last)
        tables.write(self._path, "metrics", last["rows"])
        files.write_json(self._path / "status.json", {"state": state, "epoch": last["epoch"]})
        self._saved_at, self._saved_step = time.monotonic(), last["steps"]
