"""Verdicts of an audit, as plain records: no torch, no network, no data."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from landscape.auditing.requirements import HOLDS, NOT_REFUTED, UNCERTAIN, Requirement
from landscape.records import NoiseRecord, shown_direction
from landscape.records.scores import score_name
from landscape.statistics import noise_curve
from landscape.statistics.intervals import Interval, holm


def with_interval(value: float, low: float, high: float) -> str:
    """ "0.93 [0.91, 0.95]", or the value alone where it is exact."""
    return f"{value:.4g}" if low == high else f"{value:.4g} [{low:.4g}, {high:.4g}]"


@dataclass(frozen=True)
class Verdict:
    """Requirement, the number it is about, and "holds", "not refuted", "falls short" or
    "uncertain".
    """

    requirement: Requirement
    number: Interval
    outcome: str

    @property
    def interval(self) -> str:
        """ "0.93 [0.91, 0.95]", or the number alone where it is exact."""
        return with_interval(self.number.mean, self.number.low, self.number.high)

    @property
    def line(self) -> str:
        """ "holds: noise.accuracy@0.05 >= 0.9 (0.93 [0.91, 0.95])"."""
        doubt = ", nothing worse was found" if self.outcome == NOT_REFUTED else ""
        return f"{self.outcome}: {self.requirement.text} ({self.interval}{doubt})"


@dataclass(frozen=True, eq=False)
class Audit:
    """Verdicts and what they rest on.

    answers: records by measure, and "evaluation"; baseline: the other one's. folder: where the
    files of `landscape.audit` are. notes: how the checkpoints were read.
    """

    verdicts: tuple[Verdict, ...]
    answers: Mapping[str, Any]
    baseline: Mapping[str, Any] | None
    on_uncertain: str
    folder: Path | None = None
    notes: tuple[str, ...] = ()

    def accepts(self, verdict: Verdict) -> bool:
        """Test whether a verdict passes; an uncertain one does if `on_uncertain` is "pass"."""
        accepted = {HOLDS, NOT_REFUTED} | ({UNCERTAIN} if self.on_uncertain == "pass" else set())
        return verdict.outcome in accepted

    @property
    def passed(self) -> bool:
        """Test whether all requirements pass."""
        return all(map(self.accepts, self.verdicts))

    def tally(self, noun: str = "") -> str:
        """Count of requirements by outcome: "3 of 5 hold, 1 not refuted"; a noun stands before
        "hold".
        """
        counts = Counter(verdict.outcome for verdict in self.verdicts)
        others = [f", {counts[kind]} {kind}" for kind in (NOT_REFUTED, UNCERTAIN) if counts[kind]]
        words = " ".join(filter(None, (f"{counts[HOLDS]} of {len(self.verdicts)}", noun, "hold")))
        return words + "".join(others)

    @property
    def robustness(self) -> str | None:
        """Sentence on the cost of noise for the checkpoint and the baseline; None without one.

        The cost is the change from the noise-free value, so a lower accuracy without noise does
        not count. Paired t tests over the draws at each level, Holm's correction over the levels.
        """
        if self.baseline is None or "noise" not in self.answers:
            return None
        return _robustness(self.answers["noise"], self.baseline["noise"])


def _robustness(new: NoiseRecord, old: NoiseRecord) -> str:
    quantity = "accuracy" if new.clean_accuracy == new.clean_accuracy else "loss"
    costs = noise_curve.cost_difference(new, old, quantity)
    levels = [i for i, sigma in enumerate(new.sigma) if sigma > 0 and costs[i].t_p == costs[i].t_p]
    adjusted = holm([costs[i].t_p for i in levels])
    directions = shown_direction(
        [costs[i].low for i in levels], [costs[i].high for i in levels], adjusted
    )
    each = list(zip(levels, directions, strict=True))
    said = [
        f"{word} robust to weight noise than the baseline at σ = {', '.join(at)}"
        for word, sign in (("less", 1), ("more", -1))
        if (at := [f"{new.sigma[i]:g}" for i, direction in each if direction == sign])
    ]
    clean = [getattr(record, f"clean_{quantity}") for record in (new, old)]
    cost = f"{score_name([new])} lost" if quantity == "accuracy" else "loss added"
    basis = (
        f"{cost} relative to the noise-free value, which is {clean[0]:.4g} here and "
        f"{clean[1]:.4g} for the baseline; {new.loss.shape[1]} paired draws, Holm's correction "
        f"over {len(levels)} levels"
    )
    if not said:
        return f"No significant difference in robustness to weight noise at any level ({basis})."
    return f"The checkpoint is {' and '.join(said)} ({basis}, p < 0.05)."
