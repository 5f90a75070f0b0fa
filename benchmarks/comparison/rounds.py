"""Contenders take turns in one process: their times, and the ratios to ours round by round."""

import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import torch

OURS = "landscape"
LONG = 4.0  # seconds of a call from which its warm-up is timed as its first round
PATIENCE = 12.0  # seconds that a contender may take beyond its first round
SEEDS = 2  # on which the loosest setting is chosen


@dataclass(frozen=True)
class Scale:
    """How much work a run is: the device, and whether it only tries the code on small sizes."""

    device: str = "cpu"
    quick: bool = False

    def pick(self, full: Any, quick: Any) -> Any:
        """The size for this run."""
        return quick if self.quick else full

    def clock(self) -> float:
        """Seconds: of the CPU, children included, where that does the work, else of the wall."""
        if self.device == "cpu":
            children = resource.getrusage(resource.RUSAGE_CHILDREN)
            return time.process_time() + children.ru_utime + children.ru_stime
        torch.cuda.synchronize()
        return time.perf_counter()


@dataclass(frozen=True)
class Contender:
    """One way to do the work of a block.

    call: round -> an answer, which starts from the model and its data; judge: what its answers are
    worth, in words. at_least: aim for its time over ours; at_most: aim for its own seconds.
    per: pieces of work that a call does; its time is that of one.
    """

    call: Callable[[int], Any]
    judge: Callable[[list[Any]], str] = lambda answers: ""
    at_least: float | None = None
    at_most: float | None = None
    per: int = 1


@dataclass(frozen=True)
class Block:
    """The same work on one network. contenders: ours, under `OURS`, and the others; a string in
    the place of one says why it is missing. repeats: calls of one timing, for short ones.
    """

    work: str
    network: str
    contenders: Mapping[str, Contender | str]
    rounds: int = 5
    repeats: int = 1


@dataclass
class Line:
    """Times of one contender: seconds of a call in each round, and their ratios to ours."""

    contender: str
    seconds: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    accuracy: str = ""
    reason: str = ""
    at_least: float | None = None
    at_most: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the medians reach the aims; None without an aim or a time."""
        if not self.seconds or self.at_least is self.at_most is None:
            return None
        reached = self.at_least is None or median(self.ratios) >= self.at_least
        return reached and (self.at_most is None or median(self.seconds) <= self.at_most)


def measure(block: Block, scale: Scale) -> list[Line]:
    """Warm every contender up by one call, then time all in turn, each round from another one on.

    A slow contender takes part in fewer rounds. Ratios are to ours of the same round.
    """
    entries = {name: _Entry(block, name, scale) for name in block.contenders}
    names = list(entries)
    for turn in range(block.rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            entries[name].take(turn)
    ours = entries[OURS].seconds if OURS in entries else {}
    return [entry.line(ours) for entry in entries.values()]


class _Entry:
    """A contender at its turns: seconds by round, and answers."""

    def __init__(self, block: Block, name: str, scale: Scale):
        self.contender, self.repeats, self.scale = block.contenders[name], block.repeats, scale
        self.name, self.reason, self.rounds = name, "", 0
        self.seconds: dict[int, float] = {}
        self.answers: list[Any] = []
        if isinstance(self.contender, str):
            self.reason = self.contender
            return
        try:
            seconds, answer = _timed(self.contender, 0, 1, scale)
        except ImportError as error:
            self.reason = f"not installed: `pip install -e '.[peers]'` ({error.name})"
            return
        except Exception as error:
            if name == OURS:
                raise
            words = (str(error).strip() or "no message").splitlines()[0]
            self.reason = f"does not run: {type(error).__name__}: {words[:120]}"
            return
        if seconds > LONG:
            self.seconds[0], self.answers = seconds, [answer]
        extra = PATIENCE / max(seconds * block.repeats, 1e-9)
        self.rounds = int(min(block.rounds, 1 + extra))

    def take(self, turn: int) -> None:
        """Time one round, unless the contender is through."""
        if turn < self.rounds and turn not in self.seconds:
            self.seconds[turn], answer = _timed(self.contender, turn, self.repeats, self.scale)
            self.answers.append(answer)

    def line(self, ours: Mapping[int, float]) -> Line:
        """What is known of it; ours: our seconds by round."""
        if self.reason:
            return Line(self.name, reason=self.reason)
        return Line(
            self.name,
            list(self.seconds.values()),
            [t / ours[turn] for turn, t in self.seconds.items() if turn in ours],
            self.contender.judge(self.answers),
            at_least=self.contender.at_least,
            at_most=self.contender.at_most,
        )


def _timed(contender: Contender, turn: int, repeats: int, scale: Scale) -> tuple[float, Any]:
    started = scale.clock()
    for _ in range(repeats):
        answer = contender.call(turn)
    return (scale.clock() - started) / (repeats * contender.per), answer


def loosest(
    settings: Mapping[str, Callable[[int], Any]],
    error: Callable[[Any], float],
    wanted: float,
) -> tuple[str, Callable[[int], Any]]:
    """What to call the first of the settings that is right for the first seeds, and its call.

    Settings stand loosest first. Without one that is right the strictest stands in, and says so.
    What does not run is for the timing to find.
    """
    for words, call in settings.items():
        try:
            if all(error(call(turn)) <= wanted for turn in range(SEEDS)):
                return f"{words}: the loosest right to {wanted:.0e}", call
        except Exception:
            return words, call
    return f"{words}: not right to {wanted:.0e}", call
