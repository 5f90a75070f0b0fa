"""Statistics against hand-worked cases, exact enumeration and scipy."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from landscape.records import shown_direction
from landscape.statistics.intervals import holm, paired_difference, t_interval

NAN = math.nan


def test_t_interval_by_hand():
    """1, 2, 3: mean 2, s = 1, t = 0.95·√(2/0.0975) for 2 degrees of freedom, half t/√3."""
    interval = t_interval([1.0, 2.0, 3.0])
    half = 0.95 * math.sqrt(2 / 0.0975) / math.sqrt(3)
    assert (interval.mean, interval.n) == (2.0, 3)
    assert (interval.low, interval.high) == pytest.approx((2 - half, 2 + half), rel=1e-12)


def test_t_interval_against_scipy():
    x = np.random.default_rng(0).normal(size=9)
    interval = t_interval(x, level=0.9)
    oracle = stats.ttest_1samp(x, 0.0).confidence_interval(0.9)
    assert (interval.low, interval.high) == pytest.approx((oracle.low, oracle.high), rel=1e-12)


def test_t_interval_covers_as_often_as_it_says():
    """2000 seeded sets of 5: 95 % hold the true mean, within 4 binomial standard errors."""
    draws = np.random.default_rng(1).normal(3.0, 2.0, size=(2000, 5))
    hits = sum(i.low <= 3.0 <= i.high for i in map(t_interval, draws))
    assert abs(hits / 2000 - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 2000)


@pytest.mark.parametrize("samples, mean, n", [([], NAN, 0), ([2.0], 2.0, 1), ([NAN, 2.0], 2.0, 1)])
def test_bounds_are_not_invented(samples, mean, n):
    interval = t_interval(samples)
    assert interval.mean == pytest.approx(mean, nan_ok=True)
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)
    assert interval.n == n


@pytest.mark.parametrize("value", [0.0, 1 / 3, 1e9 / 7])
def test_samples_equal_up_to_rounding_have_no_width(value):
    """Scipy warns of precision loss here; an interval of rounding errors says nothing."""
    samples = [value, np.nextafter(value, 1e12), np.nextafter(value, -1e12)]
    interval = t_interval(samples)
    assert interval.low == interval.high == interval.mean == pytest.approx(value)


def test_samples_that_are_not_finite_are_left_out_and_counted():
    assert t_interval([1.0, NAN, 2.0, math.inf, 3.0]) == t_interval([1.0, 2.0, 3.0])
    assert t_interval([0.5, 0.5, 0.5]).high == 0.5


def test_paired_difference_against_scipy():
    generator = np.random.default_rng(2)
    a, b = generator.normal(size=8), generator.normal(0.5, size=8)
    ours, oracle = paired_difference(a, b), stats.ttest_rel(a, b)
    interval = oracle.confidence_interval(0.95)
    assert ours.t_p == pytest.approx(oracle.pvalue, rel=1e-12)
    assert (ours.low, ours.high) == pytest.approx((interval.low, interval.high), rel=1e-12)
    assert ours.effect_size == pytest.approx(oracle.statistic / math.sqrt(8), rel=1e-12)
    flips = stats.permutation_test((a - b,), np.mean, permutation_type="samples")
    assert ours.sign_flip_p == pytest.approx(flips.pvalue, rel=1e-12)


@pytest.mark.parametrize("n", [3, 4, 5, 6])
def test_sign_flip_is_the_exact_enumeration(n):
    for seed in range(5):
        d = np.random.default_rng(seed).normal(0.4, size=n)
        means = [abs(np.mean(d * z)) for z in itertools.product([1, -1], repeat=n)]
        expected = sum(m >= abs(d.mean()) - 1e-12 for m in means) / 2**n
        assert paired_difference(d, np.zeros(n)).sign_flip_p == expected


def test_sign_flip_by_hand():
    """Sums ±1 ±2 ±4 are ±1, ±3, ±5, ±7: 7 is reached by 2 of 8, 3 by 6 of 8."""
    assert paired_difference([1.0, 2, 4], [0.0, 0, 0]).sign_flip_p == 0.25
    assert paired_difference([1.0, 0, 4], [0.0, 2, 0]).sign_flip_p == 0.75
    assert paired_difference([0.1, 0.2, 0.0], [0.0, 0.0, 0.3]).sign_flip_p == 1.0


def test_many_pairs_are_sampled_and_agree_with_the_t_test():
    d = np.random.default_rng(3).normal(0.3, size=40)
    ours = paired_difference(d, np.zeros(40))
    assert ours.sign_flip_p == pytest.approx(ours.t_p, abs=0.01)
    assert paired_difference(np.arange(1.0, 41), np.zeros(40)).sign_flip_p == 1 / 100_000


def test_no_difference_at_all():
    same = paired_difference([0.1, 0.2, 0.3], [0.1, 0.2, 0.3])
    assert (same.mean, same.t_p, same.sign_flip_p) == (0.0, 1.0, 1.0)
    assert math.isnan(same.effect_size)
    assert shown_direction(same.low, same.high, same.t_p) == 0


@pytest.mark.parametrize("step", [0.1, 0.25])
def test_a_constant_difference_claims_no_more_than_its_pairs(step):
    """Six times +step, up to rounding: t would say p = 0, six pairs can say 2/2⁶."""
    b = np.array([0.1, 0.7, 0.3, 0.9, 0.2, 0.6])
    constant = paired_difference(b + step, b)
    assert constant.t_p == constant.sign_flip_p == 2 / 64
    assert math.isnan(constant.effect_size)
    assert shown_direction(constant.low, constant.high, constant.t_p) == 1


@pytest.mark.parametrize("a, n", [([], 0), ([2.0], 1), ([2.0, NAN], 1)])
def test_one_pair_proves_nothing(a, n):
    answer = paired_difference(a, np.ones(len(a)))
    assert answer.n == n
    assert all(math.isnan(p) for p in (answer.t_p, answer.sign_flip_p, answer.low, answer.high))
    assert math.isnan(shown_direction(answer.low, answer.high, answer.t_p))


def test_a_pair_is_dropped_as_a_pair():
    answer = paired_difference([1.0, NAN, 3.0, 5.0], [0.0, 9.0, 1.0, NAN])
    assert answer == paired_difference([1.0, 3.0], [0.0, 1.0])
    assert answer.n == 2


def test_holm_by_hand():
    """0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1: 0.02, 0.03, 0.06, and 0.04 raised to 0.06."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02], rel=1e-12)


def test_holm_passes_nan_and_does_not_count_it():
    adjusted = holm([0.02, NAN, 0.9, 0.8])
    assert adjusted == pytest.approx([0.06, NAN, 1.0, 1.0], nan_ok=True)
    assert holm([]).shape == (0,)


@pytest.mark.parametrize("p", [-0.1, 1.5])
def test_holm_refuses_what_is_no_p_value(p):
    with pytest.raises(ValueError, match=rf"`p_values` must lie in \[0, 1\]. Got {p}"):
        holm([0.5, p])


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: paired_difference([1.0, 2], [1.0]), "`a` and `b` must be of one length"),
        (lambda: t_interval([1.0, 2], level=95), "`level` must lie between 0 and 1. Got 95."),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
