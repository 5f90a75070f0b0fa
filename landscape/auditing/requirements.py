"""Thresholds on a checkpoint, "noise.accuracy@0.05 >= 0.9", held against what measures found.

A threshold holds when the whole 95 % interval lies on its side, and falls short when the whole of
it lies on the other one; else it is uncertain. Intervals are over draws and numerical error, not
over the test set: they say nothing of other examples. What a search found in place of a worst case
can refute a threshold and never prove it: where it does not, the threshold is "not refuted".
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from landscape.auditing.quantities import QUANTITIES, Quantity
from landscape.records import RECORDS
from landscape.statistics.intervals import Interval
from landscape.utils.names import look_up

HOLDS, SHORT, UNCERTAIN = "holds", "falls short", "uncertain"
NOT_REFUTED = "not refuted"
CHANGE = "change."
_FORM = re.compile(r"\s*([\w.]+?)\s*(?:@\s*([\w.+-]+))?\s*(>=|<=|>|<)\s*(\S+)\s*")


@dataclass(frozen=True)
class Evaluation:
    """Exact on their examples: loss and accuracy of the test data, ‖∇L‖ of the training data."""

    loss: float
    accuracy: float
    grad_norm: float


@dataclass(frozen=True)
class Requirement:
    """A threshold that the user sets. With `change`, on new minus old beside a baseline."""

    text: str
    name: str
    argument: str
    sign: str
    threshold: float
    change: bool = False
    quantity: Quantity = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "quantity", QUANTITIES[self.name])

    def found(self, answers: Mapping[str, Any], baseline: Mapping[str, Any] | None) -> Interval:
        """The number that the requirement is about, with its 95 % interval.

        Raises ValueError where it does not apply to this model and data.
        """
        quantity = self.quantity
        record = answers[quantity.measure]
        if not self.change:
            number = quantity.read(record, self.argument)
        elif baseline is None:
            raise ValueError(f"{self.text!r} needs a checkpoint to compare with: --baseline.")
        else:
            number = quantity.change_of(record, baseline[quantity.measure], self.argument)
        if math.isnan(number.mean):
            raise ValueError(
                f"{self.text!r} does not apply: {self.name} is not a number on these data."
            )
        return number

    def outcome(self, number: Interval) -> str:
        """HOLDS, SHORT or UNCERTAIN; an interval without ends is uncertain.

        NOT_REFUTED where only what was searched for in vain speaks against it.
        """
        compare = _SIGNS[self.sign]
        ends = [bool(compare(end, self.threshold)) for end in (number.low, number.high)]
        if math.isnan(number.low) or math.isnan(number.high):
            return UNCERTAIN
        if ends[0] != ends[1]:
            found = self.quantity.searched and compare(number.mean, self.threshold)
            return NOT_REFUTED if found else UNCERTAIN
        return HOLDS if ends[0] else SHORT


def parse(text: str) -> Requirement:
    """ "noise.accuracy@0.05 >= 0.9"; "change.accuracy >= -0.01" beside a baseline.

    Raises ValueError that says how a requirement is written, and what it may name.

    Example:

    >>> from landscape.auditing.requirements import parse
    >>> asked = parse("noise.accuracy@0.05 >= 0.9")
    >>> asked.name, asked.argument, asked.sign, asked.threshold
    ('noise.accuracy', '0.05', '>=', 0.9)
    """
    form = _FORM.fullmatch(text)
    if form is None:
        raise ValueError(
            f'A requirement is written "accuracy >= 0.9" or "noise.accuracy@0.05 >= 0.9". '
            f"Got {text!r}."
        )
    name, argument, sign, threshold = form.groups()
    change = name.startswith(CHANGE)
    name = name.removeprefix(CHANGE)
    quantity = _quantity(name)
    if bool(quantity.argument) != bool(argument):
        wanted = f"{name}@..., the {quantity.argument}" if quantity.argument else f"{name} alone"
        raise ValueError(f"{text!r}: write {wanted}.")
    try:
        limit = float(threshold)
    except ValueError:
        limit = math.nan
    if math.isnan(limit):
        raise ValueError(f"{text!r}: the threshold must be a number. Got {threshold}.")
    if argument and name not in ("quantization.accuracy", "quantization.loss"):
        _number(argument, text)
    return Requirement(text.strip(), name, argument or "", sign, limit, change)


def settings(requirements: list[Requirement]) -> dict[str, dict[str, Any]]:
    """Settings of measures so that every level, fraction and radius that is named is measured."""
    asked: dict[str, dict[str, Any]] = {}
    for requirement in requirements:
        measure, argument = requirement.quantity.measure, requirement.argument
        own = asked.setdefault(measure, {})
        if measure == "quantization":
            bits = re.fullmatch(r"int(\d+)(-\w+)?", argument)
            if bits is None:
                raise ValueError(f"{requirement.text!r}: write int8, int4 or int8-channel.")
            own["bits"] = tuple(sorted({*own.get("bits", ()), int(bits[1])}, reverse=True))
        elif argument:
            name = _LISTS[measure]
            own[name] = tuple(sorted({*own.get(name, ()), float(argument)}))
    asked.pop("evaluation", None)
    return asked


_LISTS = {
    "noise": "sigmas", "pruning": "fractions", "worst_case": "radii", "adaptive_sharpness": "radii",
}  # fmt: skip
_SIGNS: dict[str, Callable[[float, float], bool]] = {
    ">=": lambda a, b: a >= b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    "<": lambda a, b: a < b,
}


def _quantity(name: str) -> Quantity:
    """ValueError for what cannot be named; of a measure without numbers, no nearest name."""
    measure = name.partition(".")[0]
    answering = {quantity.measure for quantity in QUANTITIES.values()}
    if measure in RECORDS and measure not in answering and name not in QUANTITIES:
        known = ", ".join(QUANTITIES)
        raise ValueError(f"A {measure} has no number to hold a threshold against. Known: {known}.")
    return look_up("quantity", name, QUANTITIES)


def _number(text: str, requirement: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{requirement!r}: a number stands behind the @. Got {text}.") from None
