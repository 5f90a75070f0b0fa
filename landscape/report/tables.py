"""A study and its statistics as CSV in long form: one number, or one pair, per line."""

import csv
import io
from collections.abc import Iterable
from typing import Any

import numpy as np

from landscape.records import ComparisonRecord, StudyRecord
from landscape.utils.text import printable

STATISTICS = (
    "mean", "low", "high", "n", "difference", "difference_low", "difference_high", "effect_size",
    "t_p", "holm_p", "sign_flip_p",
)  # fmt: skip


def study_csv(study: StudyRecord) -> str:
    """Columns method, seed, metric, value, status; an empty value was not computed."""
    lines = (
        (_text(method), seed, _text(metric), _cell(study.table[i, j, k]), _text(study.status[j, k]))
        for j, method in enumerate(study.methods)
        for k, seed in enumerate(study.seeds)
        for i, metric in enumerate(study.metrics)
    )
    return _csv(("method", "seed", "metric", "value", "status"), lines)


def comparison_csv(comparison: ComparisonRecord) -> str:
    """Columns method, metric, baseline and every statistic; an empty cell was not computed."""
    lines = (
        (_text(method), _text(metric), _text(comparison.baseline),
         *(_cell(getattr(comparison, name)[i, j]) for name in STATISTICS))
        for j, method in enumerate(comparison.methods)
        for i, metric in enumerate(comparison.metrics)
    )  # fmt: skip
    return _csv(("method", "metric", "baseline", *STATISTICS), lines)


def _text(name: str) -> str:
    """A name that no spreadsheet takes for a formula, in one line."""
    words = printable(name)
    return f"'{words}" if words.lstrip().startswith(("=", "+", "-", "@")) else words


def _cell(value: Any) -> str:
    return repr(float(value)) if np.isfinite(value) else ""


def _csv(header: Iterable[str], lines: Iterable[Iterable[Any]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(lines)
    return buffer.getvalue()
