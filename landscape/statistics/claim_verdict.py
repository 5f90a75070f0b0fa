"""Verdict on a claim that one method does better than another, from paired seeds.

The gain d_s is method minus rival of seed s, its sign turned where less is claimed. δ is the margin
below which a gain does not matter. Kinds of claims and their two-sided paired t tests:

better      the mean gain is 0            holds where the 95 % interval lies above 0
not-worse   it is −δ                      holds where it lies above −δ
no-matter   it is −δ, and +δ, the larger  holds where it lies within ±δ
            of both p
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from landscape.records.study import SIGNIFICANT
from landscape.statistics.intervals import paired_difference, t_interval

KINDS = ("better", "not-worse", "no-matter")
HOLDS, FAILS, UNDECIDED = "holds here", "does not hold here", "not decided"
EXPLAINED, NOT_MEASURED = "holds here, explained by the control", "not measured"
VERDICTS = (HOLDS, EXPLAINED, FAILS, UNDECIDED, NOT_MEASURED)
MOST_MISSING = 1 / 6  # of the pairs, by divergence or otherwise
POWER = 2.8  # z of 0.975 and of 0.8: seeds for 80 % power at the margin are (2.8 s/δ)²


@dataclass(frozen=True)
class Gain:
    """Mean gain over `n` pairs with its 95 % t interval.

    p: of the kind's t test; sign_flip_p: of the exact test with the same null. needed: seeds with
    which a gain of the margin would be seen in four of five studies. NaN below two pairs.
    """

    mean: float
    low: float
    high: float
    n: int
    p: float
    sign_flip_p: float
    needed: float


def gain_of(a: ArrayLike, b: ArrayLike, kind: str, margin: float) -> Gain:
    """Gain of a over b, both (seeds,) and larger for better; NaN pairs are left out.

    Raises ValueError for an unknown kind, a margin that is not positive, and other shapes.

    Example: four gains of 0.01 to 0.02, with the margin 0.005.

    >>> from landscape.statistics.claim_verdict import gain_of
    >>> found = gain_of([0.91, 0.92, 0.93, 0.92], [0.9, 0.9, 0.92, 0.9], "better", 0.005)
    >>> round(found.mean, 3), round(found.low, 3), found.needed
    (0.015, 0.006, 11.0)
    """
    if kind not in KINDS:
        raise ValueError(f"`kind` must be {', '.join(KINDS)}. Got {kind!r}.")
    if not margin > 0:
        raise ValueError(f"`margin` must be positive. Got {margin}.")
    x, y = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    shifts = {"better": (0.0,), "not-worse": (margin,), "no-matter": (margin, -margin)}[kind]
    tests = [paired_difference(x + shift, y) for shift in shifts]
    d = (x - y)[np.isfinite(x - y)]
    interval = t_interval(d)
    spread = float(d.std(ddof=1)) if len(d) > 1 else math.nan
    return Gain(
        interval.mean, interval.low, interval.high, interval.n,
        p=max(test.t_p for test in tests),
        sign_flip_p=max(test.sign_flip_p for test in tests),
        needed=float(np.ceil((POWER * spread / margin) ** 2)),
    )  # fmt: skip


@dataclass(frozen=True)
class Evidence:
    """Circumstances of a gain that decide the verdict.

    holm_p: of `Gain.p` over all claims of the paper. planned: pairs of the study; diverged: those
    missing for a run that diverged. on_edge: the method's own winner lies on the edge of its grid,
    so it may do better elsewhere. controls: gains over what else could explain it, each by the same
    kind; one of fewer than two pairs counts as beaten.
    """

    holm_p: float
    planned: int
    diverged: int = 0
    on_edge: bool = False
    controls: tuple[Gain, ...] = ()


def verdict(gain: Gain, kind: str, margin: float, evidence: Evidence) -> tuple[str, str]:
    """The verdict, one of VERDICTS, and its reason in words ("" where the numbers say it)."""
    most = MOST_MISSING * evidence.planned
    if evidence.diverged > most:
        return UNDECIDED, f"{evidence.diverged} of {evidence.planned} pairs diverged"
    if gain.n < 2:
        return NOT_MEASURED, ""
    if (missing := evidence.planned - gain.n) > most:
        return UNDECIDED, f"{missing} of {evidence.planned} pairs are missing"
    supported = _supported(gain, kind, margin)
    if supported and evidence.holm_p < SIGNIFICANT:
        small = kind == "better" and gain.high < margin
        said = EXPLAINED if _explained(kind, margin, evidence.controls) else HOLDS
        return said, "a gain below the margin" if small else ""
    if _refuted(gain, kind, margin):
        if evidence.on_edge:
            return UNDECIDED, "the best setting lies on the edge of its grid"
        return FAILS, ""
    if supported:
        return UNDECIDED, f"p is {evidence.holm_p:.2g} after Holm's correction"
    if gain.n < gain.needed:
        return UNDECIDED, f"{gain.needed:.0f} seeds needed"
    return UNDECIDED, "the interval leaves both open"


def _explained(kind: str, margin: float, controls: tuple[Gain, ...]) -> bool:
    """A control that was measured is not beaten."""
    return any(
        not (control.p < SIGNIFICANT and _supported(control, kind, margin))
        for control in controls
        if control.n > 1
    )


def _supported(gain: Gain, kind: str, margin: float) -> bool:
    if kind == "better":
        return gain.low > 0
    return gain.low > -margin and (kind == "not-worse" or gain.high < margin)


def _refuted(gain: Gain, kind: str, margin: float) -> bool:
    if kind == "better":
        return gain.high < margin
    return gain.high < -margin or (kind == "no-matter" and gain.low > margin)
