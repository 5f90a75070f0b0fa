"""A verdict never says more than the interval."""

import numpy as np
import pytest

from landscape.records import ComparisonRecord
from landscape.report.verdict import verdict

NAN = np.nan


def record(difference, low, high, holm, mean=1.0, metric="test_accuracy"):
    """A baseline and one other method."""
    pair = {
        "mean": [0.9, mean], "low": [NAN, NAN], "high": [NAN, NAN], "n": [6, 6],
        "difference": [NAN, difference], "difference_low": [NAN, low],
        "difference_high": [NAN, high], "effect_size": [NAN, NAN], "t_p": [NAN, holm],
        "holm_p": [NAN, holm], "sign_flip_p": [NAN, NAN],
    }  # fmt: skip
    none = np.zeros(0)
    return ComparisonRecord(
        metrics=np.array([metric]), methods=np.array(["sgd", "sam"]),
        **{name: np.array([values], dtype=float) for name, values in pair.items()},
        measures=none, tau=none, tau_low=none, tau_high=none, within_tau=none, baseline="sgd",
    )  # fmt: skip


@pytest.mark.parametrize(
    "difference, low, high, holm, metric, kind, words, mark",
    [
        (0.02, 0.01, 0.03, 0.001, "test_accuracy", "higher", "higher, better", "▲"),
        (-0.02, -0.03, -0.01, 0.001, "test_accuracy", "lower", "lower, worse", "▼"),
        (-9.0, -12.0, -6.0, 0.001, "lambda_max", "lower", "lower, better", "▼"),
        (9.0, 6.0, 12.0, 0.001, "w_norm", "higher", "higher", "▲"),
        (0.02, 0.01, 0.03, 0.06, "test_accuracy", "undecided", "no difference shown", ""),
        (0.02, -0.01, 0.05, 0.001, "test_accuracy", "undecided", "no difference shown", ""),
        (0.02, 0.0, 0.04, 0.05, "test_accuracy", "undecided", "no difference shown", ""),
        (0.0, 0.0, 0.0, NAN, "test_accuracy", "undecided", "no difference shown", ""),
        (0.02, NAN, NAN, NAN, "test_accuracy", "no interval", "no interval, no verdict", ""),
    ],
)
def test_kinds(difference, low, high, holm, metric, kind, words, mark):
    found = verdict(record(difference, low, high, holm, metric=metric), metric, "sam")
    assert (found.kind, found.words, found.mark) == (kind, words, mark)


def test_baseline_and_missing():
    assert verdict(record(0.1, 0.0, 0.2, 0.5), "test_accuracy", "sgd").words == "baseline"
    missing = verdict(record(NAN, NAN, NAN, NAN, mean=NAN), "test_accuracy", "sam")
    assert (missing.kind, missing.words) == ("missing", "")


def test_accuracies_are_judged_in_points():
    found = verdict(record(0.02, 0.01, 0.03, 0.001), "test_accuracy", "sam")
    assert (found.difference, found.low, found.high) == pytest.approx((2.0, 1.0, 3.0))
