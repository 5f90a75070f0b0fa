"""The dot plot of the first screen: differences from the baseline with their intervals, as HTML.

Places are percentages of a column's width, so that the page draws it at any width, in text that
keeps its size.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.ticker import MaxNLocator

from landscape.plots.comparison import in_sight
from landscape.records import METRICS
from landscape.report.contents import Contents
from landscape.report.findings import ratios
from landscape.report.numbers import MINUS, signed, signed_interval
from landscape.report.verdict import Verdict, mean_words, verdicts_of
from landscape.report.wording import capitalised, method_name

COLUMNS = ("lambda_max", "test_loss", "test_accuracy")
INSTEAD = ("generalisation_gap", "kappa", "sharpness", "noise_accuracy")  # where one is missing
TITLES = {"lambda_max": ("Top curvature ", "λ max")}  # a phone has room for the second
NARROWEST = 105  # pixels of a column on a phone
LETTER = 6.6  # pixels of a digit below the axis


@dataclass(frozen=True)
class Dot:
    """Difference from the baseline in a column of dots.

    kind: of its verdict. at, start, end: in % of the column, NaN where missing. beyond: the sides
    on which the interval goes on. words: for who listens or points at it.
    """

    kind: str
    at: float
    start: float
    end: float
    words: str
    beyond: tuple[str, ...] = ()


@dataclass(frozen=True)
class Column:
    """Column of dots: metric, title and head, a dot per method, ticks (place, text) and zero."""

    metric: str
    title: tuple[str, str]
    head: str
    dots: Sequence[Dot]
    ticks: Sequence[tuple[float, str]]
    zero: float
    spare: bool = False  # left out on a phone


@dataclass(frozen=True)
class Dots:
    """Rows of the plot, its columns, and what each method costs beside the baseline."""

    methods: Sequence[str]
    baseline: str
    columns: Sequence[Column]
    costs: Sequence[float] = field(default_factory=list)

    @property
    def dearest(self) -> float:
        """Highest cost, which fills the bar."""
        return max(cost for cost in self.costs if np.isfinite(cost))

    @property
    def kinds(self) -> set[str]:
        """Kinds of verdicts that are there to be explained."""
        return {dot.kind for column in self.columns for dot in column.dots}


def dots(contents: Contents) -> Dots | None:
    """The plot; None where there is no difference to show."""
    record = contents.comparison
    metrics = [m for m in (*COLUMNS, *INSTEAD) if m in contents.computed][: len(COLUMNS)]
    others = [m for m in contents.methods if m != record.baseline]
    if not others:
        return None
    columns = [_column(contents, metric) for metric in metrics]
    columns = [c for c in columns if any(np.isfinite(dot.at) for dot in c.dots)]
    if not columns:
        return None
    columns = [_spared(c, i, len(columns)) for i, c in enumerate(columns)]
    by_method = ratios(contents, "grad_evals")
    costs = [by_method.get(m, np.nan) for m in others] if by_method else []
    base = method_name(record.baseline)
    return Dots([method_name(m) for m in others], base, columns, costs)


def _spared(column: Column, i: int, count: int) -> Column:
    """A phone has room for the first and the last of three columns."""
    return Column(**{**vars(column), "spare": count > 2 and 0 < i < count - 1})


def _column(contents: Contents, metric: str) -> Column:
    record = contents.comparison
    by_method = verdicts_of(record, metric)
    each = list(by_method.values())
    values = np.array([[v.difference, v.low, v.high] for v in each]).T
    left, right = _reach(values)
    words = [_words(method_name(m), v) for m, v in by_method.items()]
    return Column(
        metric,
        TITLES.get(metric, ("", capitalised(contents.name(metric)))),
        _head(contents, metric),
        [_dot(v, w, left, right) for v, w in zip(each, words, strict=True)],
        _ticks(left, right),
        _place(0.0, left, right),
    )


def _head(contents: Contents, metric: str) -> str:
    """Which way is better, and what the baseline has."""
    base = contents.comparison.baseline
    word = "flatter" if metric == "lambda_max" else "better"
    way = {"lower": f"← {word} · ", "higher": f"{word} → · "}.get(METRICS[metric].better, "")
    unit = " %, points" if metric.endswith("accuracy") else ""
    return f"{way}{method_name(base)} {mean_words(contents.comparison, metric, base)}{unit}"


def _reach(values: np.ndarray) -> tuple[float, float]:
    """Ends of a column's axis, zero within them; few wide intervals leave it."""
    finite = np.append(values[np.isfinite(values)], 0.0)
    left, right = in_sight(values, also=0.0) or (finite.min(), finite.max())
    margin = 0.06 * (right - left) or 1.0
    return float(left - margin), float(right + margin)


def _place(value: float, left: float, right: float) -> float:
    return round(float(100 * (value - left) / (right - left)), 2)


def _dot(verdict: Verdict, words: str, left: float, right: float) -> Dot:
    low, high = verdict.low, verdict.high
    known = np.isfinite(low) and np.isfinite(high)
    beyond = tuple(
        side for side, gone in (("left", known and low < left), ("right", known and high > right))
        if gone
    )  # fmt: skip
    start, end = np.clip([low, high], left, right) if known else (np.nan, np.nan)
    at, first, last = (_place(float(v), left, right) for v in (verdict.difference, start, end))
    return Dot(verdict.kind, at, first, last, words, beyond)


def _words(name: str, verdict: Verdict) -> str:
    if verdict.kind == "missing":
        return f"{name}: no finished run"
    if not verdict.judged:
        return f"{name}: {signed(verdict.difference)}, no interval, no verdict"
    interval = signed_interval(verdict.difference, verdict.low, verdict.high)
    return f"{name}: {interval}, {verdict.words}"


def _ticks(left: float, right: float) -> list[tuple[float, str]]:
    """Zero and round numbers to its sides, as many as do not touch in a narrow column."""
    each = MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]).tick_values(left, right)
    digits = max(
        (len(f"{v:.6g}".partition(".")[2]) for v in each if "e" not in f"{v:.6g}"), default=0
    )
    kept: list[tuple[float, str]] = []
    for value in sorted((v for v in each if left < v < right), key=abs):
        plain = f"{value:+.{digits}f}" if 1e-4 < abs(value) < 1e5 else f"{value:+.1g}"
        text = plain.replace("-", MINUS) if abs(value) > 1e-9 * (right - left) else "0"
        at, half = _place(value, left, right), 50 * LETTER * len(text) / NARROWEST
        apart = all(
            abs(at - other) > half + 50 * LETTER * (len(word) + 1) / NARROWEST
            for other, word in kept
        )
        if apart and at - half > -5 and at + half < 105:
            kept.append((at, text))
    return sorted(kept)
