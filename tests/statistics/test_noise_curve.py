"""Intervals, crossings, areas and paired differences of noise records, against numbers by hand."""

from dataclasses import replace

import numpy as np
import pytest

from landscape.records import NoiseRecord, Point
from landscape.statistics.noise_curve import area, curve, difference, sigma_at_drop

T_2 = 4.302652729911275  # 97.5 % point of Student's t, 2 degrees of freedom
POINT = Point(0.1, 0.0, 3.0, 9, 256, "test", "stored", "float32", "cpu", "ab")


def record(accuracy, sigma=(0.0, 0.1, 0.2, 0.4), loss=None, **settings):
    accuracy = np.array(accuracy, dtype=float)
    return NoiseRecord(
        sigma=np.array(sigma),
        loss=np.zeros_like(accuracy) if loss is None else np.array(loss, dtype=float),
        accuracy=accuracy,
        scale="max",
        clean_loss=0.0,
        clean_accuracy=0.9,
        point=POINT,
        settings={"seed": 0, "biases": False, "normalisation": False, **settings},
    )


def test_curve_by_hand():
    """Draws 1, 2, 3: mean 2, half width t·1/√3."""
    found = curve(record(np.zeros((1, 3)), sigma=(0.1,), loss=[[1, 2, 3]]), "loss")
    assert (found[0].mean, found[0].n) == (2.0, 3)
    assert found[0].high - 2.0 == pytest.approx(T_2 / 3**0.5)
    assert 2.0 - found[0].low == pytest.approx(T_2 / 3**0.5)


def test_a_draw_that_is_not_finite_leaves_no_mean():
    broken = record(np.zeros((2, 3)), sigma=(0.0, 0.1), loss=[[1, 1, 1], [1, np.inf, 1]])
    assert [np.isnan(found.mean) for found in curve(broken, "loss")] == [False, True]
    assert np.isnan(area(broken, "loss").mean)
    assert np.isnan(difference(broken, broken, "loss")[1].mean)


def test_an_unknown_quantity_is_refused():
    with pytest.raises(ValueError, match="`quantity` must be one of accuracy, loss"):
        curve(record([[0.9]] * 4), "error")


class TestSigmaAtDrop:
    def test_between_two_levels(self):
        """Means 0.9, 0.88, 0.80, 0.5: 0.85 lies three eighths of the way from 0.1 to 0.2."""
        means = record([[0.9, 0.9], [0.9, 0.86], [0.82, 0.78], [0.5, 0.5]])
        assert sigma_at_drop(means).mean == pytest.approx(0.1375)
        assert sigma_at_drop(means, points=1).mean == pytest.approx(0.05)
        assert sigma_at_drop(means, points=10).mean == pytest.approx(0.2)

    def test_interval_is_where_the_band_crosses(self):
        """All draws fall in a line, at slopes 1, 2, 3: the band's ends have slopes 2 ± t/√3."""
        sigma = np.linspace(0, 1, 11)
        lines = 0.9 - np.outer(sigma, [0.1, 0.2, 0.3])
        found = sigma_at_drop(record(lines, sigma=sigma), points=5)
        half = 0.1 * T_2 / 3**0.5
        assert found.mean == pytest.approx(0.05 / 0.2)
        assert found.low == pytest.approx(0.05 / (0.2 + half))
        assert found.high == np.inf  # the upper end rises
        closer = 0.9 - np.outer(sigma, [0.19, 0.2, 0.21])
        assert sigma_at_drop(record(closer, sigma=sigma)).high == pytest.approx(
            0.05 / (0.2 - half / 10)
        )

    def test_never_on_the_grid(self):
        found = sigma_at_drop(record([[0.9, 0.9], [0.9, 0.9], [0.88, 0.89], [0.86, 0.87]]))
        assert np.isnan(found.mean)
        assert found.low < 0.4
        assert found.high == np.inf

    def test_one_draw_has_no_interval(self):
        found = sigma_at_drop(record([[0.7], [0.6]], sigma=(0.1, 0.2)))
        assert found.mean == pytest.approx(0.025)  # before the first level
        assert np.isnan([found.low, found.high]).all()

    def test_first_crossing_counts(self):
        assert sigma_at_drop(record([[0.9], [0.8], [0.9], [0.5]])).mean == pytest.approx(0.05)

    def test_no_accuracy(self):
        found = sigma_at_drop(replace(record(np.full((4, 2), np.nan)), clean_accuracy=np.nan))
        assert np.isnan([found.mean, found.low, found.high]).all()

    def test_points_must_be_positive(self):
        with pytest.raises(ValueError, match=r"`points` must be positive. Got 0"):
            sigma_at_drop(record([[0.9]] * 4), points=0)


class TestArea:
    def test_trapezoids_by_hand(self):
        """(0.9 + 0.7)/2 · 0.1 + (0.7 + 0.5)/2 · 0.3 over 0.4 = 0.65."""
        found = area(record([[0.7, 0.7], [0.5, 0.5]], sigma=(0.1, 0.4)))
        assert found.mean == pytest.approx(0.65)
        assert found.low == found.high == pytest.approx(0.65)

    def test_level_zero_changes_nothing(self):
        with_zero = area(record([[0.9, 0.9], [0.7, 0.6], [0.5, 0.2]], sigma=(0.0, 0.1, 0.4)))
        without = area(record([[0.7, 0.6], [0.5, 0.2]], sigma=(0.1, 0.4)))
        assert with_zero == without
        assert with_zero.low < with_zero.mean

    def test_interval_is_over_the_draws_areas(self):
        """Losses from 0 to 1, 2, 3: each area is half of that."""
        found = area(record(np.zeros((1, 3)), sigma=(2.0,), loss=[[1.0, 2.0, 3.0]]), "loss")
        half = T_2 / 3**0.5 / 2
        assert found.high - found.mean == pytest.approx(half)

    def test_nothing_to_integrate(self):
        assert np.isnan(area(record([[0.9, 0.9]], sigma=(0.0,))).mean)


class TestDifference:
    def test_pairing_removes_what_both_share(self):
        """b = a + 1 + small: the interval is that of the small part, whatever a is."""
        a = np.array([[10.0, -5.0, 30.0]])
        first = record(a * 0, sigma=(0.1,), loss=a + np.array([1.0, 1.1, 1.2]))
        second = record(a * 0, sigma=(0.1,), loss=a)
        (found,) = difference(first, second, "loss")
        assert found.mean == pytest.approx(1.1)
        assert found.high - found.mean == pytest.approx(0.1 * T_2 / 3**0.5)
        assert found.n == 3

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"settings": {"seed": 1, "biases": False, "normalisation": False}}, "seed"),
            ({"settings": {"seed": 0, "biases": True, "normalisation": False}}, "biases"),
            ({"scale": "rms"}, "scale. Got max and rms"),
            ({"sigma": np.array([0.0, 0.1, 0.2, 0.5])}, "levels"),
            ({"point": replace(POINT, n=8)}, "the number of weights. Got 9 and 8"),
            ({"point": replace(POINT, fingerprint="cd")}, "their examples"),
            ({"point": replace(POINT, batch_norm="batch")}, "the batch-norm policy"),
        ],
    )
    def test_other_questions_are_refused(self, change, message):
        a = record(np.full((4, 2), 0.9))
        with pytest.raises(ValueError, match=f"must share {message}"):
            difference(a, replace(a, **change))

    def test_other_draws_are_refused(self):
        a, b = (record(np.full((4, draws), 0.9)) for draws in (2, 3))
        with pytest.raises(ValueError, match=r"the number of draws. Got 2 and 3"):
            difference(a, b)
