"""Each claim in each of its studies, judged: gains, controls, Holm over a paper, verdicts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from landscape.claims.claim import Claim, table
from landscape.claims.quantities import FURTHER, values
from landscape.records import METRICS, Array
from landscape.statistics.claim_verdict import (
    HOLDS,
    NOT_MEASURED,
    Evidence,
    Gain,
    gain_of,
    verdict,
)
from landscape.statistics.intervals import holm, paired_difference
from landscape.study.study import Study

CHECK = "sam"  # the paper whose claim, that SAM is flatter than SGD, checks a study


@dataclass(frozen=True)
class Judgement:
    """Verdict on a claim in a study, with its numbers.

    gain: of a over b, larger where it is more in the claim's favour; of log metrics that of the
    logarithms. NaN where it was not measured: `why` says the reason. controls: gains over them.
    beside: differences a minus b of further metrics, (mean, low, high). edge: methods whose chosen
    value lies on the edge of its grid, with the value. values_a, values_b: by seed, logarithms of
    log metrics.
    """

    claim: Claim
    study: str
    words: str
    verdict: str
    why: str = ""
    gain: Gain | None = None
    holm_p: float = float("nan")
    planned: int = 0
    diverged: int = 0
    controls: Mapping[str, Gain] = field(default_factory=dict)
    beside: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    edge: Mapping[str, Sequence[str]] = field(default_factory=dict)
    seeds: Sequence[int] = ()
    values_a: Sequence[float] = ()
    values_b: Sequence[float] = ()


@dataclass(frozen=True)
class Measured:
    """A study's folder, read."""

    study: Study

    def gain(self, claim: Claim, rival: str) -> Gain:
        """Gain of a claim's method over a rival."""
        return gain_of(*self.pair(claim, rival), claim.kind, claim.margin)

    def pair(self, claim: Claim, rival: str) -> tuple[Array, Array]:
        """The metric of method and rival by seed, turned so that more is better for the claim."""
        sign = 1.0 if claim.better == "higher" else -1.0
        found = (values(self.study, m, claim.metric, log=claim.log) for m in (claim.a, rival))
        a, b = (sign * each for each in found)
        return a, b

    def diverged(self, claim: Claim) -> int:
        """Pairs that are missing since a run of method or rival diverged."""
        record = self.study.record
        rows = [list(record.methods).index(m) for m in (claim.a, claim.b)]
        return int((record.status[rows] == "diverged").any(axis=0).sum())

    def edges(self, method: str) -> list[str]:
        """Chosen values of a method that lie on the edge of their grid, as "training.lr=0.4"."""
        tuning = self.study.plan["tuning"].get(method, {"chosen": {}})
        return [
            f"{path}={value}"
            for path, value in tuning["chosen"].items()
            if _is_edge(value, [trial["values"][path] for trial in tuning["trials"]])
        ]


def _is_edge(value: Any, tried: Sequence[Any]) -> bool:
    if not all(isinstance(each, int | float) for each in tried):
        return False
    return len(set(tried)) > 2 and value in (min(tried), max(tried))


def judge(
    claims: Sequence[Claim], measured: Mapping[str, Measured], absent: Mapping[str, str]
) -> list[Judgement]:
    """Judge every claim in each of its studies.

    measured: studies by name; absent: the reason for each other study.
    """
    rows = [
        _judged(claim, name, measured.get(name), absent.get(name, "the study was not run"))
        for claim in claims
        for name in claim.studies
    ]
    return _with_verdicts(rows, measured)


def _judged(claim: Claim, name: str, held: Measured | None, reason: str) -> Judgement:
    words = table()["studies"][name]["words"]
    there = set() if held is None else set(map(str, held.study.plan["methods"]))
    if held is not None and not {claim.a, claim.b} <= there:
        reason = f"{claim.a if claim.a not in there else claim.b} was not trained"
    if held is None or not {claim.a, claim.b} <= there:
        return Judgement(claim, name, words, NOT_MEASURED, reason)
    a, b = held.pair(claim, claim.b)
    edges = {method: held.edges(method) for method in (claim.a, claim.b)}
    return Judgement(
        claim, name, words, NOT_MEASURED, "no two seeds have it",
        gain=held.gain(claim, claim.b),
        planned=len(held.study.plan["seeds"]),
        diverged=held.diverged(claim),
        controls={rival: held.gain(claim, rival) for rival in claim.controls if rival in there},
        beside={metric: _beside(held.study, claim, metric) for metric in claim.beside},
        edge={method: found for method, found in edges.items() if found},
        seeds=list(held.study.plan["seeds"]),
        values_a=a.tolist(),
        values_b=b.tolist(),
    )  # fmt: skip


def _beside(study: Study, claim: Claim, metric: str) -> tuple[float, float, float]:
    a, b = (values(study, method, metric) for method in (claim.a, claim.b))
    found = paired_difference(a, b)
    return found.mean, found.low, found.high


def _with_verdicts(rows: Sequence[Judgement], measured: Mapping[str, Measured]) -> list[Judgement]:
    adjusted = np.full(len(rows), np.nan)
    for paper in {row.claim.paper for row in rows}:
        own = [i for i, row in enumerate(rows) if row.claim.paper == paper and row.gain is not None]
        adjusted[own] = holm([rows[i].gain.p for i in own])  # type: ignore[union-attr]
    judged = [_decided(row, float(p)) for row, p in zip(rows, adjusted, strict=True)]
    failed = {r.study for r in judged if r.claim.paper == CHECK and r.verdict != HOLDS}
    return [_doubted(row) if row.study in failed & set(measured) else row for row in judged]


def _decided(row: Judgement, holm_p: float) -> Judgement:
    if row.gain is None:
        return row
    evidence = Evidence(
        holm_p, row.planned, row.diverged, row.claim.a in row.edge, tuple(row.controls.values())
    )
    said, why = verdict(row.gain, row.claim.kind, row.claim.margin, evidence)
    return replace(row, holm_p=holm_p, verdict=said, why=why or row.why * (said == NOT_MEASURED))


def _doubted(row: Judgement) -> Judgement:
    """The row, with a word that the study's own check did not hold."""
    if row.claim.paper == CHECK or row.gain is None:
        return row
    doubt = "here SAM is not shown to be flatter than SGD"
    return replace(row, why=f"{row.why}; {doubt}" if row.why else doubt)


def label_of(metric: str) -> str:
    """A metric in a reader's words."""
    if metric in METRICS:
        return METRICS[metric].label
    return (FURTHER[metric].__doc__ or metric).splitlines()[0].rstrip(".")
