"""Differences between the minima of a study, with their uncertainty."""

from typing import Any

import numpy as np

from landscape.records import Array, ComparisonRecord, StudyRecord
from landscape.statistics.intervals import holm, paired_difference, t_interval
from landscape.statistics.rank_correlation import (
    RankCorrelation,
    granulated_correlation,
    rank_correlation,
)

FLATNESS = (
    "lambda_max", "rise_area", "kappa", "kappa_hat", "sharpness", "critical_sharpness",
    "adaptive_sharpness", "batch_lambda_max", "fisher_rao", "pac_bayes_sigma",
    "pac_bayes_magnitude", "noise_sigma_5", "grad_norm", "w_norm",
)  # fmt: skip
GAP = "generalisation_gap"


def compare_minima(study: StudyRecord, baseline: str = "sgd") -> ComparisonRecord:
    """Means with 95 % t intervals, paired differences to the baseline, rank correlations.

    A seed counts for a method where the metric was computed; a difference where it was for both.
    Where the baseline is not among the methods the first one takes its place.
    """
    methods = [str(name) for name in study.methods]
    baseline = baseline if baseline in methods else methods[0]
    shape = (len(study.metrics), len(methods))
    columns: dict[str, Any] = {name: np.full(shape, np.nan) for name in _COLUMNS}
    for i, metric in enumerate(study.metrics):
        base = study.values(metric, baseline)
        for j, method in enumerate(methods):
            values = study.values(metric, method)
            found = t_interval(values)
            row = {"mean": found.mean, "low": found.low, "high": found.high, "n": found.n}
            if method != baseline:
                row |= _difference(values, base)
            for name, value in row.items():
                columns[name][i, j] = value
        columns["holm_p"][i] = holm(columns["t_p"][i])
    return ComparisonRecord(
        metrics=study.metrics,
        methods=study.methods,
        baseline=baseline,
        score=study.score,
        **columns,
        **_correlations(study),
    )


_COLUMNS = (
    *("mean", "low", "high", "n"),
    *("difference", "difference_low", "difference_high", "effect_size"),
    *("t_p", "holm_p", "sign_flip_p"),
)


def _difference(values: Array, base: Array) -> dict[str, float]:
    d = paired_difference(values, base)
    return {
        "difference": d.mean,
        "difference_low": d.low,
        "difference_high": d.high,
        "effect_size": d.effect_size,
        "t_p": d.t_p,
        "sign_flip_p": d.sign_flip_p,
    }


def _correlations(study: StudyRecord) -> dict[str, Any]:
    """Kendall tau-b of each flatness measure with the gap: over all minima, within methods (the
    seed varies), across methods (at a fixed seed), and the mean of the last two, granulated.

    The draws of every interval are the seeds.
    """
    names = [name for name in FLATNESS if name in study.metrics]
    gap = study.table[list(study.metrics).index(GAP)].ravel()
    method, seed = (axis.ravel() for axis in np.indices((len(study.methods), len(study.seeds))))
    columns: dict[str, list[float]] = {}
    for name in names:
        values = study.table[list(study.metrics).index(name)].ravel()
        found: dict[str, RankCorrelation] = {
            "tau": rank_correlation(values, gap, seed),
            "within_tau": granulated_correlation(values, gap, [method], seed),
            "across_tau": granulated_correlation(values, gap, [seed], seed),
            "granulated_tau": granulated_correlation(values, gap, [method, seed], seed),
        }
        for key, one in found.items():
            for ending, value in (("", one.tau), ("_low", one.low), ("_high", one.high)):
                columns.setdefault(key + ending, []).append(value)
    empty: list[float] = []
    keys = [f"{key}{end}" for key in _TAUS for end in ("", "_low", "_high")]
    return {"measures": np.array(names), **{k: np.array(columns.get(k, empty)) for k in keys}}


_TAUS = ("tau", "within_tau", "across_tau", "granulated_tau")
