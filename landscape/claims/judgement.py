"""Each claim in each of its studies, judged: gains, controls, Holm over a paper, verdicts."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from landscape.claims.claim import Claim, claims, table
from landscape.claims.quantities import FURTHER, values
from landscape.claims.wording import inside
from landscape.records import METRICS, Array, StudyRecord
from landscape.statistics.claim_verdict import (
    FAILS,
    HOLDS,
    NOT_MEASURED,
    UNDECIDED,
    Evidence,
    Gain,
    gain_of,
    verdict,
)
from landscape.statistics.intervals import holm, paired_difference
from landscape.study.study import Study

CHECK = "sam"  # the paper whose claim, that SAM is flatter than SGD, checks a study
CHECK_FAILS = "here SAM is not flatter than SGD, so nothing else is read"
CHECK_OPEN = "here SAM is not shown to be flatter than SGD"


@dataclass(frozen=True)
class Judgement:
    """Verdict on a claim in a study, with its numbers.

    gain: of a over b, larger where it is more in the claim's favour; of log metrics that of the
    logarithms. None where it was not measured: `why` says the reason. controls: gains over those
    that were trained. beside: differences a minus b of further metrics, (mean, low, high), their
    signs as they are. shares: means of a over those of b of the metrics in the claim's `least`.
    edge: methods whose chosen value lies on the edge of its grid, with the value. values_a,
    values_b: by seed, logarithms of log metrics, negative where less is claimed.
    """

    claim: Claim
    study: str
    words: str
    budget: str
    verdict: str
    why: str = ""
    gain: Gain | None = None
    holm_p: float = float("nan")
    planned: int = 0
    diverged: int = 0
    controls: Mapping[str, Gain] = field(default_factory=dict)
    beside: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    shares: Mapping[str, float] = field(default_factory=dict)
    edge: Mapping[str, Sequence[str]] = field(default_factory=dict)
    seeds: Sequence[int] = ()
    values_a: Sequence[float] = ()
    values_b: Sequence[float] = ()


@dataclass(frozen=True)
class Measured:
    """A study's folder, read."""

    study: Study

    @cached_property
    def record(self) -> StudyRecord:
        """The study's table, put together once: it takes half a second for 260 runs."""
        return self.study.record

    def gain(self, claim: Claim, rival: str) -> Gain:
        """Gain of a claim's method over a rival."""
        return gain_of(*self.pair(claim, rival), claim.kind, claim.margin)

    def pair(self, claim: Claim, rival: str) -> tuple[Array, Array]:
        """The metric of method and rival by seed, turned so that more is better for the claim."""
        sign = 1.0 if claim.better == "higher" else -1.0
        return (
            sign * self.values(claim.a, claim.metric, log=claim.log),
            sign * self.values(rival, claim.metric, log=claim.log),
        )

    def values(self, method: str, metric: str, *, log: bool = False) -> Array:
        """A metric of a method by seed, see `quantities.values`."""
        return values(self.study, self.record, method, metric, log=log)

    def beside(self, claim: Claim, metric: str) -> tuple[float, float, float]:
        """Difference of a further metric, a minus b, with its interval."""
        difference = paired_difference(self.values(claim.a, metric), self.values(claim.b, metric))
        return difference.mean, difference.low, difference.high

    def share(self, claim: Claim, metric: str) -> float:
        """Mean of a metric over the seeds of a, over that of b; NaN where one has none."""
        a, b = (self.values(method, metric) for method in (claim.a, claim.b))
        there = np.isfinite(a) & np.isfinite(b)
        return float(a[there].mean() / b[there].mean()) if there.any() else math.nan

    def diverged(self, claim: Claim) -> int:
        """Pairs that are missing since a run of method or rival diverged."""
        rows = [list(self.record.methods).index(m) for m in (claim.a, claim.b)]
        return int((self.record.status[rows] == "diverged").any(axis=0).sum())

    def edges(self, method: str) -> list[str]:
        """Chosen values of a method that lie on the edge of their grid, as "training.lr=0.4".

        Of a table or list the one number in it that varies is told.
        """
        tuning = self.study.plan["tuning"].get(method, {"chosen": {}})
        ends = {
            path: _edge(value, [trial["values"][path] for trial in tuning["trials"]])
            for path, value in tuning["chosen"].items()
        }
        return [f"{path}={value:g}" for path, value in ends.items() if value is not None]


def _edge(value: Any, tried: Sequence[Any]) -> float | None:
    """Return the value where it is the least or the largest of three or more that were tried.

    Tables and lists are ordered by the one number in them that varies; others have no edge.
    """
    columns = zip(*(_numbers(each) for each in (value, *tried)), strict=False)
    varying = [column for column in columns if len(set(column)) > 1]
    if len(varying) != 1:
        return None
    chosen, *others = varying[0]
    return chosen if len(set(others)) > 2 and chosen in (min(others), max(others)) else None


def _numbers(value: Any) -> list[float]:
    """The numbers of a setting, also inside of lists and tables."""
    if isinstance(value, Mapping):
        return [number for each in value.values() for number in _numbers(each)]
    if isinstance(value, list | tuple):
        return [number for each in value for number in _numbers(each)]
    return [] if isinstance(value, bool) or not isinstance(value, int | float) else [float(value)]


def judge(
    chosen: Sequence[Claim], measured: Mapping[str, Measured], absent: Mapping[str, str]
) -> list[Judgement]:
    """Judge every claim in each of its studies, and whether the study's check holds.

    measured: studies by name; absent: the reason for each other study.
    """
    asked = any(claim.paper == CHECK for claim in chosen)
    checks = () if asked else claims([CHECK])  # judged too, and not shown
    rows = [
        _judged(claim, name, measured.get(name), absent.get(name, "the study was not run"))
        for claim in (*chosen, *checks)
        for name in claim.studies
    ]
    judged = _with_verdicts(rows)
    return [row for row in judged if asked or row.claim.paper != CHECK]


def _judged(claim: Claim, name: str, held: Measured | None, reason: str) -> Judgement:
    about = table()["studies"][name]
    of = claim, name, about["words"], about.get("budget", "epochs")
    if held is None:
        return Judgement(*of, NOT_MEASURED, reason)
    there = set(map(str, held.study.plan["methods"]))
    if lacking := [method for method in (claim.a, claim.b) if method not in there]:
        return Judgement(*of, NOT_MEASURED, f"{lacking[0]} was not trained")
    a, b = held.pair(claim, claim.b)
    edges = {method: held.edges(method) for method in claim.methods if method in there}
    return Judgement(
        *of, NOT_MEASURED, "fewer than two pairs of runs have the number",
        gain=held.gain(claim, claim.b),
        planned=len(held.study.plan["seeds"]),
        diverged=held.diverged(claim),
        controls={rival: held.gain(claim, rival) for rival in claim.controls if rival in there},
        beside={metric: held.beside(claim, metric) for metric in claim.beside},
        shares={metric: held.share(claim, metric) for metric in claim.least},
        edge={method: values for method, values in edges.items() if values},
        seeds=list(held.study.plan["seeds"]),
        values_a=a.tolist(),
        values_b=b.tolist(),
    )  # fmt: skip


def _with_verdicts(rows: Sequence[Judgement]) -> list[Judgement]:
    p = np.array([np.nan if row.gain is None else row.gain.p for row in rows])
    families = np.array([f"{row.claim.paper} at equal {row.budget}" for row in rows])
    adjusted = np.full(len(rows), np.nan)
    for family in set(families):
        adjusted[families == family] = holm(p[families == family])
    judged = [_decided(row, float(p)) for row, p in zip(rows, adjusted, strict=True)]
    checks = {row.study: row.verdict for row in judged if row.claim.paper == CHECK}
    return [_checked(row, checks.get(row.study, NOT_MEASURED)) for row in judged]


def _decided(row: Judgement, holm_p: float) -> Judgement:
    if row.gain is None:
        return row
    evidence = Evidence(
        holm_p, row.planned, row.diverged, row.claim.a in row.edge, tuple(row.controls.values())
    )
    said, why = verdict(row.gain, row.claim.kind, row.claim.margin, evidence)
    if said == NOT_MEASURED:
        why = row.why
    elif void := _void(row):
        said, why = UNDECIDED, void
    elif said == HOLDS:
        why = "; ".join(filter(None, (why, _without_controls(row))))
    return replace(row, holm_p=holm_p, verdict=said, why=why)


def _void(row: Judgement) -> str:
    """Say why a claim is void; "" where it is not."""
    short = [name for name, least in row.claim.least.items() if not row.shares[name] >= least]
    if not short:
        return ""
    return (
        f"void: {inside(label_of(short[0]))} is {row.shares[short[0]]:.2g} of that of "
        f"{row.claim.b}, "
        f"at least {row.claim.least[short[0]]:g} is asked"
    )


def _without_controls(row: Judgement) -> str:
    """The controls of a claim that were not measured, in words; "" where all were."""
    measured = {rival for rival, gain in row.controls.items() if gain.n > 1}
    lacking = [table()["controls"][c] for c in row.claim.controls if c not in measured]
    return f"not compared with {', '.join(lacking)}" if lacking else ""


def _checked(row: Judgement, check: str) -> Judgement:
    """The row under the verdict on its study's check: undecided where that does not hold."""
    if row.claim.paper == CHECK or row.verdict == NOT_MEASURED:
        return row
    if check == FAILS:
        return replace(row, verdict=UNDECIDED, why=CHECK_FAILS)
    if check == UNDECIDED:
        return replace(row, why="; ".join(filter(None, (row.why, CHECK_OPEN))))
    return row


def label_of(metric: str) -> str:
    """A metric in a reader's words."""
    if metric in METRICS:
        return METRICS[metric].label
    return (FURTHER[metric].__doc__ or metric).splitlines()[0].rstrip(".")
