"""Verdicts on differences, read from the comparison's record, and the cells of its table."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from landscape.plots.drawing.prepare import shown
from landscape.records import METRICS, ComparisonRecord, shown_direction
from landscape.report.contents import Contents
from landscape.report.numbers import with_interval
from landscape.statistics.intervals import holm, paired_difference

# Counted or set, not estimated: they get a ratio, no verdict.
COSTS = ("grad_evals", "seconds")


@dataclass(frozen=True)
class Verdict:
    """kind: "higher", "lower", "undecided", "baseline", "no interval" or "missing".

    difference, low, high: method minus baseline and its 95 % interval, in the unit that is shown.
    """

    kind: str
    better: bool | None = None
    difference: float = math.nan
    low: float = math.nan
    high: float = math.nan

    @property
    def judged(self) -> bool:
        """True where there is an interval to judge by."""
        return self.kind in ("higher", "lower", "undecided")

    @property
    def mark(self) -> str:
        """A sign that does not need colour."""
        return {"higher": "▲", "lower": "▼"}.get(self.kind, "")

    @property
    def words(self) -> str:
        """The words for a cell of the table."""
        if self.kind in ("higher", "lower"):
            side = {True: ", better", False: ", worse", None: ""}[self.better]
            return f"{self.kind}{side}"
        return {
            "undecided": "no difference shown",
            "baseline": "baseline",
            "no interval": "no interval, no verdict",
        }.get(self.kind, "")


@dataclass(frozen=True)
class Cell:
    """value: mean ± half interval; mark, words and kind: of the verdict, "" where there is none."""

    value: str
    mark: str = ""
    words: str = ""
    kind: str = ""


def verdict(record: ComparisonRecord, metric: str, method: str) -> Verdict:
    """The decision that the record holds for a method and a metric."""
    i, j = list(record.metrics).index(metric), list(record.methods).index(method)
    if not math.isfinite(record.mean[i, j]):
        return Verdict("missing")
    if method == record.baseline:
        return Verdict("baseline")
    triple = (record.difference[i, j], record.difference_low[i, j], record.difference_high[i, j])
    wanted = METRICS[metric].better if metric in METRICS else ""
    return _verdict(shown(metric, triple), float(record.direction[i, j]), wanted)


def verdicts_of(record: ComparisonRecord, metric: str) -> dict[str, Verdict]:
    """The record's decisions on every method but the baseline, in its order."""
    return {m: verdict(record, metric, m) for m in map(str, record.methods) if m != record.baseline}


def verdicts(
    values: Mapping[str, Mapping[int, float]], baseline: str, better: str = ""
) -> dict[str, Verdict]:
    """Verdicts on every method but the baseline for numbers that the record does not compare.

    values: method -> seed -> number. better: "higher", "lower" or "" where neither is.
    """
    base = values.get(baseline, {})
    differences = {}
    for method, own in values.items():
        if method != baseline:
            seeds = sorted(own.keys() & base.keys())
            pairs = [own[s] for s in seeds], [base[s] for s in seeds]
            differences[method] = paired_difference(*pairs)
    each = list(differences.values())
    adjusted = holm([d.t_p for d in each])
    directions = shown_direction([d.low for d in each], [d.high for d in each], adjusted)
    return {
        method: _verdict((d.mean, d.low, d.high), float(direction), better)
        for (method, d), direction in zip(differences.items(), directions, strict=True)
    }


def mean_words(record: ComparisonRecord, metric: str, method: str) -> str:
    """The mean of a method with the digits of the metric's column."""
    return _value(record, metric, method).partition(" ±")[0]


def cell(contents: Contents, metric: str, method: str) -> Cell:
    """The cell of a method and a metric; costs, the baseline and single seeds get no verdict."""
    record = contents.comparison
    value = _value(record, metric, method)
    answer = verdict(record, metric, method)
    if metric in COSTS or contents.seeds < 2 or answer.kind == "baseline":
        return Cell(value)
    return Cell(value, answer.mark, answer.words, answer.kind if answer.mark else "")


def _value(record: ComparisonRecord, metric: str, method: str) -> str:
    i, j = list(record.metrics).index(metric), list(record.methods).index(method)
    triple = [record.mean[i, j], record.low[i, j], record.high[i, j]]
    mean, low, high = map(float, shown(metric, triple))
    return with_interval(mean, low, high, _typical(record, metric))


def _verdict(triple: Iterable[float], direction: float, wanted: str) -> Verdict:
    """triple: difference, low, high, as shown. direction: see `shown_direction`."""
    difference, low, high = map(float, triple)
    if math.isnan(direction):
        return Verdict("no interval", difference=difference)
    if direction == 0:
        return Verdict("undecided", None, difference, low, high)
    kind = "higher" if direction > 0 else "lower"
    return Verdict(kind, kind == wanted if wanted else None, difference, low, high)


def _typical(record: ComparisonRecord, metric: str) -> float:
    """Median half width of a metric's intervals, which sets the digits of its column."""
    i = list(record.metrics).index(metric)
    halves = shown(metric, record.high[i] - record.low[i]) / 2
    halves = halves[np.isfinite(halves) & (halves > 0)]
    return float(np.median(halves)) if halves.size else math.nan
