"""The findings metric by metric: what differs, what does not, which runs failed, at what cost."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from landscape.records import ComparisonRecord
from landscape.report.contents import Contents
from landscape.report.numbers import signed, signed_interval
from landscape.report.verdict import Verdict, verdicts_of
from landscape.report.wording import capitalised, listed, method_name, timing_caution

TOLD = (
    "test_accuracy", "test_loss", "generalisation_gap", "lambda_max", "rise_area",
    "kappa", "noise_sigma_5",
)  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """Paragraph of findings: its subject and its text."""

    about: str
    text: str


def paragraphs(contents: Contents) -> list[Finding]:
    """A paragraph per metric that was computed, then the runs that failed, then the cost."""
    findings = []
    if contents.seeds > 1 and len(contents.methods) > 1:
        metrics = [metric for metric in TOLD if metric in contents.computed]
        findings = [
            Finding(_title(contents, metric), _told(contents, metric)) for metric in metrics
        ]
    findings += _diverged(contents)
    return findings + (_cost(contents) if contents.count_all("finished") else [])


def association(record: ComparisonRecord, i: int) -> str:
    """Describe the rank correlations of measure i with the gap in words.

    A correlation over all minima can come from the methods alone, so a direction is named without
    a reservation only where the interval within methods excludes zero on the same side.
    """
    if not math.isfinite(record.tau[i]):
        return "not computed"
    if not (math.isfinite(record.tau_low[i]) and math.isfinite(record.tau_high[i])):
        return "no interval, no verdict"
    over_all = _side(record.tau_low[i], record.tau_high[i])
    if over_all == 0:
        return "no association shown"
    within = 0
    if record.within_tau_low is not None and record.within_tau_high is not None:
        within = _side(record.within_tau_low[i], record.within_tau_high[i])
    if within == over_all:
        return f"larger values go with a {'larger' if over_all > 0 else 'smaller'} gap"
    signs = {1: "positive", -1: "negative", 0: "not shown"}
    return f"{signs[over_all]} over all minima, {signs[within]} within methods"


def _side(low: float, high: float) -> int:
    """The side of zero on which an interval lies; 0 where it holds zero or has no ends."""
    return 1 if low > 0 else -1 if high < 0 else 0


def _title(contents: Contents, metric: str) -> str:
    return capitalised(contents.label(metric).replace("(%)", "(percentage points)"))


def verdicts(contents: Contents, metric: str) -> dict[str, Verdict]:
    """Verdicts of every method but the baseline, the largest difference first."""
    record = contents.comparison
    by_method = verdicts_of(record, metric)
    return dict(sorted(by_method.items(), key=lambda item: -abs(np.nan_to_num(item[1].difference))))


def _told(contents: Contents, metric: str) -> str:
    by_method = verdicts(contents, metric)
    baseline = method_name(contents.comparison.baseline)
    sentences = []
    for kind in ("higher", "lower"):
        chosen = {m: v for m, v in by_method.items() if v.kind == kind}
        if chosen:
            better = next(iter(chosen.values())).better
            side = {True: " (better)", False: " (worse)", None: ""}[better]
            who = listed([method_name(m) for m in chosen])
            sentences.append(f"Significantly {kind}{side} than {baseline}: {who}, {span(chosen)}.")
    open_ = {m: v for m, v in by_method.items() if v.kind == "undecided"}
    after = {m: v for m, v in open_.items() if v.low > 0 or v.high < 0}
    rest = {m: v for m, v in open_.items() if m not in after}
    for why, chosen in (("", rest), (" after Holm’s correction over the methods", after)):
        if chosen:
            who = listed([method_name(m) for m in chosen])
            sentences.append(f"Not significant{why}: {who}, {span(chosen)}.")
    missing = [method_name(m) for m, v in by_method.items() if v.kind in ("no interval", "missing")]
    if missing:
        sentences.append(f"Too few runs to tell: {listed(missing)}.")
    return " ".join(sentences)


def span(by_method: Mapping[str, Verdict]) -> str:
    """Format one difference with its interval, or the range of several."""
    each = list(by_method.values())
    if len(each) == 1:
        (only,) = each
        return signed_interval(only.difference, only.low, only.high)
    width = min(v.high - v.low for v in each) / 2
    ends = (min(v.low for v in each), max(v.high for v in each))
    middle = (min(v.difference for v in each), max(v.difference for v in each))
    a, b, low, high = (signed(value, width) for value in (*middle, *ends))
    return f"from {a} to {b}; their 95 % intervals lie in [{low}, {high}]"


def _diverged(contents: Contents) -> list[Finding]:
    parts = [
        f"{method_name(m)}: {contents.count(m, 'diverged')} of {contents.seeds}"
        for m in contents.methods
        if contents.count(m, "diverged")
    ]
    if not parts:
        return []
    caution = (
        " Means and intervals are over the runs that finished, and so may be too favourable for "
        "such a method."
    )
    words = "; ".join(parts) + "." + (caution if contents.count_all("finished") else "")
    return [Finding("Runs that diverged", words)]


def _cost(contents: Contents) -> list[Finding]:
    sentences = []
    for metric, label in (("grad_evals", "Gradient evaluations"), ("seconds", "Training time")):
        each = [f"{method_name(m)} ×{r:.2f}" for m, r in ratios(contents, metric).items()]
        if each:
            baseline = method_name(contents.comparison.baseline)
            sentences.append(f"{label} relative to {baseline}: {', '.join(each)}.")
            sentences += [timing_caution(contents.study)] * (metric == "seconds")
    sentences = list(filter(None, sentences))
    return [Finding("Cost", " ".join(sentences))] if sentences else []


def ratios(contents: Contents, metric: str) -> dict[str, float]:
    """Mean cost of every other method over that of the baseline."""
    if metric not in contents.computed:
        return {}
    record = contents.comparison
    means = record.mean[list(record.metrics).index(metric)]
    reference = means[contents.methods.index(record.baseline)]
    if not reference > 0:
        return {}
    return {
        m: float(mean / reference)
        for m, mean in zip(contents.methods, means, strict=True)
        if m != record.baseline and np.isfinite(mean)
    }
