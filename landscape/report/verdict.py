"""What may be said of a method and a metric: never more than the interval allows."""

import math
from dataclasses import dataclass

from landscape.plots.prepare import established, shown
from landscape.records import METRICS, ComparisonRecord

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
    difference, low, high = (float(v) for v in shown(metric, triple))
    if not (math.isfinite(low) and math.isfinite(high)):
        return Verdict("no interval", difference=difference)
    if not established(record, i)[j]:
        return Verdict("undecided", None, difference, low, high)
    kind = "higher" if low > 0 else "lower"
    wanted = METRICS[metric].better if metric in METRICS else ""
    return Verdict(kind, kind == wanted if wanted else None, difference, low, high)
