"""One cell of the table of a study: a number with its interval, and its verdict."""

import math
from dataclasses import dataclass

import numpy as np

from landscape.plots.drawing.prepare import shown
from landscape.records import ComparisonRecord
from landscape.report.contents import Contents
from landscape.report.numbers import with_interval
from landscape.report.verdict import COSTS, verdict


@dataclass(frozen=True)
class Cell:
    """value: mean ± half interval; mark and words: of the verdict; tone: better, worse or ""."""

    value: str
    mark: str = ""
    words: str = ""
    tone: str = ""


def cell(contents: Contents, metric: str, method: str) -> Cell:
    """Of a method and a metric; costs, the baseline and single seeds get no verdict."""
    record = contents.comparison
    i, j = list(record.metrics).index(metric), contents.methods.index(method)
    triple = [record.mean[i, j], record.low[i, j], record.high[i, j]]
    mean, low, high = map(float, shown(metric, triple))
    value = with_interval(mean, low, high, _typical(record, metric))
    found = verdict(record, metric, method)
    if metric in COSTS or contents.seeds < 2 or found.kind == "baseline":
        return Cell(value)
    tone = "" if found.better is None else "better" if found.better else "worse"
    return Cell(value, found.mark, found.words, tone)


def _typical(record: ComparisonRecord, metric: str) -> float:
    i = list(record.metrics).index(metric)
    halves = shown(metric, record.high[i] - record.low[i]) / 2
    halves = halves[np.isfinite(halves) & (halves > 0)]
    return float(np.median(halves)) if halves.size else math.nan
