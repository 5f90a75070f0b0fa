"""What may be said of a method and a metric: never more than the interval allows."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from landscape.plots.drawing.prepare import established, shown
from landscape.records import METRICS, ComparisonRecord
from landscape.statistics.intervals import holm, paired_difference
from landscape.statistics.intervals import verdict as decided

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
    def mark(self) -> str:
        """A sign that does not need colour."""
        return {"higher": "▲", "lower": "▼"}.get(self.kind, "")

    @property
    def words(self) -> str:
        """For a cell of the table."""
        if self.kind in ("higher", "lower"):
            side = {True: ", better", False: ", worse", None: ""}[self.better]
            return f"{self.kind}{side}"
        return {
            "undecided": "no difference shown",
            "baseline": "baseline",
            "no interval": "no interval, no verdict",
        }.get(self.kind, "")


def verdict(record: ComparisonRecord, metric: str, method: str) -> Verdict:
    """Higher or lower where the paired 95 % interval leaves out zero and Holm's p is below 0.05."""
    i, j = list(record.metrics).index(metric), list(record.methods).index(method)
    if not math.isfinite(record.mean[i, j]):
        return Verdict("missing")
    if method == record.baseline:
        return Verdict("baseline")
    triple = (record.difference[i, j], record.difference_low[i, j], record.difference_high[i, j])
    wanted = METRICS[metric].better if metric in METRICS else ""
    return _judged(shown(metric, triple), bool(established(record, i)[j]), wanted)


def verdicts(
    values: Mapping[str, Mapping[int, float]], baseline: str, better: str = ""
) -> dict[str, Verdict]:
    """Of every method but the baseline, by the same rule, for numbers that no record compares.

    values: method -> seed -> number. better: "higher", "lower" or "" where neither is.
    """
    base = values.get(baseline, {})
    found = {}
    for method, own in values.items():
        if method != baseline:
            seeds = sorted(own.keys() & base.keys())
            found[method] = paired_difference([own[s] for s in seeds], [base[s] for s in seeds])
    adjusted = holm([difference.t_p for difference in found.values()])
    return {
        method: _judged((d.mean, d.low, d.high), decided(d, p) != "no difference shown", better)
        for (method, d), p in zip(found.items(), adjusted, strict=True)
    }


def _judged(triple: Iterable[float], clear: bool, wanted: str) -> Verdict:
    """triple: difference, low, high, as shown. clear: the rule of `verdict` holds."""
    difference, low, high = map(float, triple)
    if not (math.isfinite(low) and math.isfinite(high)):
        return Verdict("no interval", difference=difference)
    if not clear:
        return Verdict("undecided", None, difference, low, high)
    kind = "higher" if low > 0 else "lower"
    return Verdict(kind, kind == wanted if wanted else None, difference, low, high)
