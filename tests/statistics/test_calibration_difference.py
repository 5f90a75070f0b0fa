"""Paired differences of calibration errors: known ones are covered, unlike records refused."""

from dataclasses import replace

import numpy as np
import pytest

from landscape.records import CalibrationRecord, Point
from landscape.records.outputs import bins_of_equal_width, calibration_error
from landscape.statistics.calibration_difference import calibration_difference

POINT = Point(0.1, 0.0, 3.0, 9, 256, "test", "stored", "float32", "cpu", "ab")


def record(confidence, correct, bins=15, point=POINT):
    confidence, correct = np.asarray(confidence, float), np.asarray(correct, float)
    bin_of = bins_of_equal_width(confidence, bins)
    ece = calibration_error(confidence, correct, bin_of, bins)
    return CalibrationRecord(
        confidence=confidence, correct=correct, accuracy=correct.mean(),
        mean_confidence=confidence.mean(), cross_entropy=0.0, brier=0.0, ece=ece, ece_low=ece,
        ece_high=ece, ece_mass=ece, floor=0.0, floor_high=0.0, point=point,
        settings={"bins": bins},
    )  # fmt: skip


def pair(seed, n=200):
    """Errors of 0.3 and 0.1 in one bin each: right in 6 of 10 cases, confident by 0.9 and 0.7."""
    right = np.random.default_rng(seed).random(n) < 0.6
    return record(np.full(n, 0.9), right), record(np.full(n, 0.7), right)


def test_a_difference_by_hand():
    """|0.5 − 0.95| less |1 − 0.65| of two examples."""
    found = calibration_difference(record([0.95, 0.95], [1, 0]), record([0.65, 0.65], [1, 1]))
    assert found.mean == pytest.approx(0.45 - 0.35)
    assert found.low <= found.mean <= found.high
    assert found.n == 2


def test_the_same_predictions_do_not_differ():
    new, _ = pair(0)
    found = calibration_difference(new, new)
    assert (found.mean, found.low, found.high) == (0.0, 0.0, 0.0)


def test_pairs_are_kept():
    """Both errors move alike over resamples where the same answers are right: no spread is left."""
    found = calibration_difference(*pair(0))
    assert (found.mean, found.low, found.high) == pytest.approx((0.2, 0.2, 0.2))


def test_it_turns_its_sign():
    """Of models that are right in other cases, by the same draws."""
    new, old = pair(0)[0], pair(1)[1]
    one, other = calibration_difference(new, old), calibration_difference(old, new)
    assert (one.mean, one.low, one.high) == pytest.approx((-other.mean, -other.high, -other.low))
    assert one.high - one.low > 0.1


@pytest.mark.slow
def test_the_interval_covers():
    """A difference of 0.2 between models that are right in independent cases."""
    found = [calibration_difference(pair(s)[0], pair(s + 500)[1], seed=s) for s in range(120)]
    assert np.mean([d.low <= 0.2 <= d.high for d in found]) >= 0.88


@pytest.mark.parametrize(
    ("old", "message"),
    [
        (record(np.full(100, 0.7), np.ones(100)), "of the same examples and bins, 200 and 15"),
        (record(np.full(200, 0.7), np.ones(200), bins=10), "Got 200 and 10"),
        (
            record(np.full(200, 0.7), np.ones(200), point=replace(POINT, fingerprint="cd")),
            "as many of other data",
        ),
    ],
)
def test_refuses_other_examples_or_bins(old, message):
    with pytest.raises(ValueError, match=message):
        calibration_difference(pair(0)[0], old)
