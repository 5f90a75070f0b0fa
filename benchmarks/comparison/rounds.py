"""Contenders take turns in one process: their times, and the ratios to ours round by round."""

import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import torch

OURS = "landscape"
PATIENCE = 20.0  # seconds that one contender may take beyond its first two rounds


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
    """

    call: Callable[[int], Any]
    judge: Callable[[list[Any]], str] = lambda answers: ""
    at_least: float | None = None
    at_most: float | None = None


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
    """Run every contender once without a clock, then all in turn, each round from another one on.

    A slow contender takes part in fewer rounds. Ratios are to ours of the same round.
    """
    lines = {name: Line(name) for name in block.contenders}
    answers: dict[str, list[Any]] = {name: [] for name in lines}
    seconds: dict[str, dict[int, float]] = {name: {} for name in lines}
    turns = {name: _first(block, name, lines[name], scale) for name in lines}
    names = list(lines)
    for turn in range(block.rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            if turn < turns[name]:
                contender = block.contenders[name]
                seconds[name][turn], answer = _timed(contender, turn, block.repeats, scale)
                answers[name].append(answer)
    for name, line in lines.items():
        ours = seconds.get(OURS, {})
        line.seconds = list(seconds[name].values())
        line.ratios = [t / ours[turn] for turn, t in seconds[name].items() if turn in ours]
        if line.seconds:
            contender = block.contenders[name]
            line.accuracy = contender.judge(answers[name])
            line.at_least, line.at_most = contender.at_least, contender.at_most
    return list(lines.values())


def _first(block: Block, name: str, line: Line, scale: Scale) -> int:
    """Warm a contender up; in how many rounds it takes part: 0 where it does not run."""
    contender = block.contenders[name]
    if isinstance(contender, str):
        line.reason = contender
        return 0
    try:
        seconds, _ = _timed(contender, 0, 1, scale)
    except ImportError as error:
        line.reason = f"not installed: `pip install -e '.[peers]'` ({error.name})"
        return 0
    except Exception as error:
        if name == OURS:
            raise
        words = (str(error).strip() or "no message").splitlines()[0]
        line.reason = f"does not run: {type(error).__name__}: {words[:120]}"
        return 0
    extra = PATIENCE / max(seconds * block.repeats, 1e-9)
    return int(min(block.rounds, 1 + extra))


def _timed(contender: Contender, turn: int, repeats: int, scale: Scale) -> tuple[float, Any]:
    started = scale.clock()
    for _ in range(repeats):
        answer = contender.call(turn)
    return (scale.clock() - started) / repeats, answer


def loosest(
    settings: Mapping[str, Callable[[int], Any]],
    error: Callable[[Any], float],
    wanted: float,
    rounds: int,
) -> tuple[str, Callable[[int], Any]]:
    """What to call the first of the settings that is right in every round, and its call.

    Settings stand loosest first. Without one that is right the strictest stands in, and says so.
    What does not run is for the timing to find.
    """
    for words, call in settings.items():
        try:
            if all(error(call(turn)) <= wanted for turn in range(rounds)):
                return f"{words}: the loosest right to {wanted:.0e}", call
        except Exception:
            return words, call
    return f"{words}: not right to {wanted:.0e}", call
