"""The three key numbers of the first screen: the largest change, the accuracy, the cost."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from landscape.plots.drawing.prepare import axis_label
from landscape.records import METRICS
from landscape.records.scores import ACCURACY
from landscape.report.contents import Contents
from landscape.report.findings import ratios
from landscape.report.headline import asked
from landscape.report.numbers import signed_interval
from landscape.report.verdict import Verdict, mean_words, verdicts_of
from landscape.report.wording import method_name

MISLEADING = 1.3  # a ratio of times so many times that of the gradients is told
SHORT = {"lambda_max": "λ max"}
BETTER = {"test_accuracy": "shown to be more accurate", "test_loss": "shown to have a lower loss"}


@dataclass(frozen=True)
class Card:
    """A number, what it is, and its detail in small letters."""

    number: str
    about: str
    detail: str


def key_numbers(contents: Contents) -> list[Card]:
    """List those of the three that the study has verdicts and costs for."""
    if len(contents.methods) < 2 or not contents.count_all("finished"):
        return []
    cards = []
    if contents.seeds > 1:
        metrics = asked(contents)
        by_metric = {m: verdicts_of(contents.comparison, m) for m in metrics}
        judged = {m: found for m, found in by_metric.items() if _judged(found)}
        first = next(iter(judged), "")
        if first:
            cards.append(_largest(contents, first, judged[first]))
        if metrics and metrics[-1] in judged and metrics[-1] in BETTER:
            cards.append(_better(contents, metrics[-1], judged[metrics[-1]]))
    return cards + _cost(contents)


def _judged(by_method: Mapping[str, Verdict]) -> dict[str, Verdict]:
    return {m: v for m, v in by_method.items() if v.judged}


def _largest(contents: Contents, metric: str, by_method: Mapping[str, Verdict]) -> Card:
    """The largest difference that is shown, or that none is and which comes nearest."""
    record = contents.comparison
    label, base = SHORT.get(metric, contents.name(metric)), method_name(record.baseline)
    shown = {m: v for m, v in by_method.items() if v.kind in ("lower", "higher")}
    if not shown:
        return Card(
            "none", f"shown to differ from {base} in {label}",
            _nearest(contents, metric, _judged(by_method)),
        )  # fmt: skip
    best = max(shown, key=lambda m: abs(shown[m].difference))
    means = [mean_words(record, metric, m) for m in (record.baseline, best)]
    unit = " %" if metric.endswith("accuracy") else ""
    change = "drop" if shown[best].kind == "lower" else "rise"
    return Card(
        f"{means[0]} → {means[1]}{unit}",
        f"{label}, from {base} to {method_name(best)}",
        f"difference {_interval(metric, shown[best])}, the largest {change} that is shown"
        if len(_judged(by_method)) > 1
        else f"difference {_interval(metric, shown[best])}",
    )


def _better(contents: Contents, metric: str, by_method: Mapping[str, Verdict]) -> Card:
    """Count those that are shown to be better, and name the nearest of the others."""
    judged = _judged(by_method)
    better = [m for m, v in judged.items() if v.better]
    rest = {m: v for m, v in judged.items() if v.kind == "undecided"}
    wish = 1 if METRICS[metric].better == "higher" else -1
    rest = {m: v for m, v in rest.items() if wish * v.difference > 0}
    if rest:
        detail = _nearest(contents, metric, rest)
    elif better:
        best = max(better, key=lambda m: wish * judged[m].difference)
        detail = f"{method_name(best)} {_interval(metric, judged[best])}, the largest difference"
    else:
        detail = "no mean is on the better side"
    return Card(f"{len(better)} of {len(judged)}", _better_words(contents, metric), detail)


def _better_words(contents: Contents, metric: str) -> str:
    score = contents.study.score
    if metric == "test_accuracy" and score != ACCURACY:
        return f"shown to have a higher {score}"
    return BETTER[metric]


def _nearest(contents: Contents, metric: str, by_method: Mapping[str, Verdict]) -> str:
    """The one with the smallest p after Holm's correction, and why it is not shown."""
    record = contents.comparison
    i, methods = list(record.metrics).index(metric), list(record.methods)
    adjusted = {m: float(record.holm_p[i, methods.index(m)]) for m in by_method}
    nearest = min(by_method, key=lambda m: (math.inf if math.isnan(adjusted[m]) else adjusted[m],
                                            -abs(by_method[m].difference)))  # fmt: skip
    found = by_method[nearest]
    why = "not shown after Holm’s correction" if found.low * found.high > 0 else "not shown"
    return f"{method_name(nearest)} {_interval(metric, found)}, {why}"


def _interval(metric: str, found: Verdict) -> str:
    words = signed_interval(found.difference, found.low, found.high)
    if not metric.endswith("accuracy"):
        return words
    difference, _, interval = words.partition(" ")
    return f"{difference} points {interval}"


def _cost(contents: Contents) -> list[Card]:
    """Gradient evaluations beside the baseline's; the time of those whose gradients mislead."""
    passes, times = ratios(contents, "grad_evals"), ratios(contents, "seconds")
    if not passes:
        return []
    low, high = min(passes.values()), max(passes.values())
    ends = list(dict.fromkeys(map(times_words, (low, high))))
    dearest = max(passes, key=lambda m: passes[m])
    alone = contents.study.settings.get("runs_at_once") == 1
    where = "" if alone else " on a shared machine"
    misled = {
        m: f"{method_name(m)} {times_words(passes[m])} (but {times[m]:.1f}× the time{where})"
        for m in passes
        if times.get(m, 0.0) > MISLEADING * passes[m]
    }
    worst = sorted(misled, key=lambda m: -times[m] / passes[m])[:2]
    told = [misled[m] for m in worst]
    if dearest not in worst and high > low:
        told.append(f"{method_name(dearest)} {times_words(high)}")
    base = method_name(contents.comparison.baseline)
    unit = axis_label("grad_evals").partition(" (")[0]
    detail = " · ".join(told) or "the same for all methods"
    return [Card("–".join(ends).replace("×–", "–"), f"{base}’s {unit}", detail)]


def times_words(ratio: float) -> str:
    """ "2×", "3.1×"."""
    text = f"{ratio:.1f}"
    return f"{text.removesuffix('.0')}×"
