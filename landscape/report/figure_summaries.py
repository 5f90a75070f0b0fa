"""Summaries of the figures: one or two sentences made from their numbers, never stronger than they.

A method is named as higher or lower only where its verdict says so; where there is no interval the
numbers are given as a range, without names.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from landscape.plots.comparison import chosen_metrics
from landscape.plots.drawing.prepare import plural, shown
from landscape.plots.numbers.displacement import depth_of
from landscape.records import Array, Part
from landscape.report import findings
from landscape.report.contents import Contents
from landscape.report.numbers import number, signed, signed_interval, with_interval
from landscape.report.verdict import Verdict, verdicts
from landscape.report.wording import capitalised, listed, method_name
from landscape.statistics.intervals import t_interval
from landscape.statistics.rank_correlation import granulated_correlation, rank_correlation

NO_VERDICT = "One minimum of each method: no interval, no verdict."
NAMED = 3  # more methods than these and their differences are told as a range


def summary(contents: Contents, figure: str) -> str:
    """The summary of a figure of the page, by its name; "" where there is nothing to say."""
    return SUMMARIES[figure](contents) if figure in SUMMARIES else ""


def contrast(label: str, verdicts: Mapping[str, Verdict], baseline: str) -> str:
    """ "λ max: lower than SGD's for SAM (−3.1 [−5.0, −1.2]); for LETS no difference is shown." """
    base = method_name(baseline)
    kinds: dict[str, dict[str, Verdict]] = {}
    for method, one in verdicts.items():
        kinds.setdefault(one.kind, {})[method] = one
    parts = [
        f"{kind} than {base}’s for {_who(kinds[kind])}" for kind in ("higher", "lower")
        if kind in kinds
    ]  # fmt: skip
    undecided = kinds.get("undecided", {})
    if undecided and parts:
        rest = listed([method_name(m) for m in undecided])
        parts.append(f"for {rest} no difference is shown")
    elif undecided:
        who = "any method" if len(undecided) > 1 else method_name(next(iter(undecided)))
        parts.append(f"no difference from {base} is shown for {who}")
    lacking = [method_name(m) for kind in ("no interval", "missing") for m in kinds.get(kind, {})]
    if lacking:
        parts.append(f"too few runs to tell for {listed(lacking)}")
    return f"{capitalised(label)}: {'; '.join(parts)}." if parts else ""


def _who(verdicts: Mapping[str, Verdict]) -> str:
    if len(verdicts) > NAMED:
        return f"{listed([method_name(m) for m in verdicts])}, {findings.span(verdicts)}"
    each = (f"{method_name(m)} ({signed_interval(v.difference, v.low, v.high)})"
            for m, v in verdicts.items())  # fmt: skip
    return listed(list(each))


def _metric(contents: Contents, metric: str) -> str:
    """The contrast of a metric of the study; "" without one."""
    if metric not in contents.computed or contents.seeds < 2 or len(contents.methods) < 2:
        return ""
    label = contents.label(metric).replace("(%)", "(percentage points)")
    return contrast(label, findings.verdicts(contents, metric), contents.comparison.baseline)


def _metrics(*metrics: str) -> Callable[[Contents], str]:
    return lambda contents: " ".join(filter(None, (_metric(contents, m) for m in metrics)))


def _first(*metrics: str) -> Callable[[Contents], str]:
    """The first of them that was computed."""
    return lambda contents: next(filter(None, (_metric(contents, m) for m in metrics)), "")


def _comparison(contents: Contents) -> str:
    parts = []
    for metric in chosen_metrics(contents.comparison):
        means = shown(
            metric, contents.comparison.mean[list(contents.comparison.metrics).index(metric)]
        )
        means = means[np.isfinite(means)]
        if means.size:
            parts.append(f"{contents.label(metric)} {_reach(means)}")
    return f"Range of the means: {'; '.join(parts)}." if len(contents.methods) > 1 else ""


def _differences(contents: Contents) -> str:
    base, clear, total = method_name(contents.comparison.baseline), [], 0
    for metric in chosen_metrics(contents.comparison):
        verdicts = findings.verdicts(contents, metric)
        total += sum(v.kind in ("higher", "lower", "undecided") for v in verdicts.values())
        who = [method_name(m) for m, v in verdicts.items() if v.kind in ("higher", "lower")]
        if who:
            clear.append((contents.name(metric), who))
    count = sum(len(who) for _, who in clear)
    if not count:
        return f"None of {plural(total, 'difference')} from {base} is significant."
    where = "; ".join(f"{label}: {listed(who)}" for label, who in clear)
    verb = "is" if count == 1 else "are"
    return f"{count} of {plural(total, 'difference')} from {base} {verb} significant: {where}."


def _scatter(contents: Contents) -> str:
    record, parts = contents.comparison, dict[str, list[str]]()
    for i, measure in enumerate(map(str, record.measures)):
        tau, low, high = (float(a[i]) for a in (record.tau, record.tau_low, record.tau_high))
        if math.isfinite(tau):
            label = contents.name(measure)
            interval = signed_interval(tau, low, high) if math.isfinite(high - low) else ""
            named = f"{label} (τ {interval or signed(tau, 0.1)})"
            parts.setdefault(findings.association(record, i), []).append(named)
    sentences = [f"{capitalised(words)}: {listed(each)}." for words, each in parts.items()]
    return " ".join(["Kendall’s τ over all minima.", *sentences]) if parts else ""


def _radius(contents: Contents) -> str:
    parts = []
    for method, runs in contents.records("radius").items():
        first, last = (t_interval([r.radius[at] for r in runs]) for at in (0, -1))
        end = with_interval(last.mean, last.low, last.high)
        parts.append(
            f"{method_name(method)}: from {number(first.mean)} in the first epoch to {end} in the "
            f"last, mean over {plural(last.n, 'seed')}"
        )
    return f"{'; '.join(parts)}."


def _stability(contents: Contents) -> str:
    parts = []
    for method, runs in contents.records("sharpness_over_training").items():
        known = [r for r in runs if np.isfinite(r.threshold).any()]
        above = sum(bool((r.lambda_max > r.threshold).any()) for r in known)
        if known:
            parts.append(f"{method_name(method)} {above} of {len(known)}")
    return f"Runs seen above their dashed line at least once: {', '.join(parts)}." if parts else ""


def _displacement(contents: Contents) -> str:
    """How far the weights from the file went, and which part of them farthest in how many runs."""
    runs = [run for held in contents.records("displacement").values() for run in held]
    if not runs:
        return ""
    depth = depth_of(runs)
    known = [parts for run in runs if (parts := _from_the_file(run.parts(depth)))]
    if not known:
        return "All weights from the file are frozen."
    words = _recorded(
        "displacement", "distance that the weights from the file moved, over their norm",
        lambda record: record.relative,
    )(contents)  # fmt: skip
    if max(map(len, known)) < 2:
        return words
    farthest = Counter(max(parts, key=lambda name: parts[name]) for parts in known)
    name, count = farthest.most_common(1)[0]
    where = "in every run" if count == len(runs) else f"in {count} of {plural(len(runs), 'run')}"
    return f"{words} Of the parts from the file {name} moved farthest for its norm {where}."


def _from_the_file(parts: Mapping[Part, tuple[float, float]]) -> dict[str, float]:
    """Relative distances of the parts that came from the file and were trained."""
    return {part.module: relative for part, (_, relative) in parts.items()
            if not (part.frozen or part.drawn) and math.isfinite(relative)}  # fmt: skip


def _flatter_forgets_less(contents: Contents) -> str:
    """Rank correlation over the minima of λ max, a mean over the tasks before the last, with
    forgetting; also within methods, where only the seed varies.
    """
    runs = [
        (m, s, float(r.quantity("lambda_max")[:-1].mean()), r.forgetting)
        for m, held in contents.by_seed("lifelong").items()
        for s, r in held.items()
    ]
    if not runs:
        return ""
    method, seed, sharp, forgotten = (list(column) for column in zip(*runs, strict=True))
    over_all = rank_correlation(sharp, forgotten, seed)
    if not math.isfinite(over_all.tau):
        return ""
    within = granulated_correlation(sharp, forgotten, [method], seed)
    words = [
        f"{signed_interval(found.tau, found.low, found.high)} {where}"
        if math.isfinite(found.low)
        else f"{signed(found.tau, 0.1)} {where}"
        for found, where in ((over_all, "over all runs"), (within, "within methods"))
        if math.isfinite(found.tau)
    ]
    return (
        "Kendall’s τ of λ max, a mean over the tasks before the last, with forgetting: "
        f"{', '.join(words)}."
    )


def _recorded(
    kind: str, label: str, quantity: Callable[[Any], float], better: str = ""
) -> Callable[[Contents], str]:
    """A number of each record: the reach of its means, and the contrast where there are seeds."""

    def summary(contents: Contents) -> str:
        values = {
            method: {seed: float(quantity(record)) for seed, record in records.items()}
            for method, records in contents.by_seed(kind).items()
        }
        means = np.array([np.mean(list(v.values())) for v in values.values()])
        means = means[np.isfinite(means)]
        if not means.size:
            return ""
        reach = f"{capitalised(contents.words(label))}: {_reach(means)}."
        if max(map(len, values.values())) < 2:
            return f"{reach} {NO_VERDICT}"
        baseline = contents.comparison.baseline
        words = contrast(contents.words(label), verdicts(values, baseline, better), baseline)
        return words or reach

    return summary


def _reach(values: Iterable[float]) -> str:
    low, high = min(values), max(values)
    ends = [number(value, (high - low) / 2) for value in (low, high)]
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)


def _accuracy_lost(record: Any) -> float:
    """Percentage points from the network as trained, mean over the settings."""
    return 100 * float(record.clean_accuracy - np.mean(record.accuracy))


def _middle(record: Any) -> float:
    return float(record.loss[len(record.radius) // 2])


def _rise(record: Any) -> float:
    """Rise of the loss over that at w: mean at the ends of all lines, or median over a plane."""
    if record.point is None:
        return math.nan
    loss: Array = record.loss
    far = np.median(loss) if record.kind == "surface" else np.mean(loss[:, [0, -1]])
    return float(far - record.point.loss)


SUMMARIES: dict[str, Callable[[Contents], str]] = {
    "comparison": _comparison,
    "differences": _differences,
    "curves": _metrics("train_loss", "test_accuracy"),
    "radius": _radius,
    "stability": _stability,
    "displacement": _displacement,
    "task_accuracy": _metrics("test_accuracy"),
    "lifelong_metrics": _metrics("forgetting", "learning_accuracy", "forward_transfer"),
    "task_sharpness": _flatter_forgets_less,
    "spectrum": _first("lambda_max"),
    "density": _recorded("spectral_density", "mean eigenvalue", lambda r: r.mean),
    "noise": _first("noise_sigma_5", "noise_accuracy"),
    "quantization": _recorded(
        "quantization", "accuracy lost, mean over the settings (percentage points)",
        _accuracy_lost,
    ),
    "pruning": _recorded(
        "pruning", "accuracy lost, mean over the shares (percentage points)", _accuracy_lost,
    ),
    "worst_case": _recorded("worst_case", "highest loss found at the middle radius", _middle),
    "sharpness": _first("sharpness"),
    "critical_sharpness": _first("critical_sharpness"),
    "adaptive_sharpness": _first("adaptive_sharpness"),
    "batch_eigenvalues": _first("batch_lambda_max"),
    "fisher_rao": _first("fisher_rao"),
    "pac_bayes": _metrics("pac_bayes_sigma", "pac_bayes_magnitude"),
    "calibration": _first("ece"),
    "rise_area": _first("rise_area"),
    "surface": _recorded("surface", "median rise of the loss over the plane", _rise),
    "profile": _recorded("profile", "mean rise of the loss at the ends of the lines", _rise),
    "path": _recorded("path", "barrier", lambda r: r.barrier),
    "scatter": _scatter,
}  # fmt: skip
