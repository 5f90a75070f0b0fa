"""What an audit found, as plain records: no torch, no network, no data."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from landscape.auditing.requirements import HOLDS, NOT_REFUTED, UNCERTAIN, Requirement
from landscape.records import NoiseRecord
from landscape.statistics import noise_curve
from landscape.statistics.intervals import Interval, holm


@dataclass(frozen=True)
class Verdict:
    """One requirement, the number it is about, and "holds", "not refuted", "falls short" or
    "uncertain".
    """

    requirement: Requirement
    number: Interval
    outcome: str

    @property
    def interval(self) -> str:
        """ "0.93 [0.91, 0.95]", or the number alone where it is exact."""
        shown = f"{self.number.mean:.4g}"
        if self.number.low == self.number.high:
            return shown
        return f"{shown} [{self.number.low:.4g}, {self.number.high:.4g}]"

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
        """Whether it passes: an uncertain one does where `on_uncertain` is "pass"."""
        accepted = {HOLDS, NOT_REFUTED} | ({UNCERTAIN} if self.on_uncertain == "pass" else set())
        return verdict.outcome in accepted

    @property
    def passed(self) -> bool:
        """Whether all requirements pass."""
        return all(map(self.accepts, self.verdicts))

    @property
    def robustness(self) -> str | None:
        """The checkpoint's noise curve beside the baseline's, in one sentence; None without one.

        Paired t tests over the draws at each level, Holm's correction over the levels.
        """
        if self.baseline is None or "noise" not in self.answers:
            return None
        return _robustness(self.answers["noise"], self.baseline["noise"])


def _robustness(new: NoiseRecord, old: NoiseRecord) -> str:
    quantity = "accuracy" if new.clean_accuracy == new.clean_accuracy else "loss"
    sign = 1.0 if quantity == "accuracy" else -1.0
    found = noise_curve.difference(new, old, quantity)
    levels = [i for i, sigma in enumerate(new.sigma) if sigma > 0 and found[i].t_p == found[i].t_p]
    adjusted = holm([found[i].t_p for i in levels])
    decided = [(i, found[i]) for i, p in zip(levels, adjusted, strict=True) if p < 0.05]
    worse = [f"{new.sigma[i]:g}" for i, d in decided if sign * d.mean < 0]
    better = [f"{new.sigma[i]:g}" for i, d in decided if sign * d.mean > 0]
    told = [
        f"{word} robust to noise than the baseline at σ = {', '.join(at)}"
        for word, at in (("less", worse), ("more", better))
        if at
    ]
    if not told:
        return (
            f"No difference in {quantity} under noise is shown at any level "
            f"({new.loss.shape[1]} paired draws, Holm over {len(levels)} levels)."
        )
    return f"The checkpoint is {' and '.join(told)} ({quantity}, paired draws, Holm, p < 0.05)."
