"""Statistics against hand-worked cases, exact enumeration and scipy."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from landscape.statistics import (
    PairedDifference,
    holm,
    paired_difference,
    rank_correlation,
    t_interval,
    verdict,
    within_group_correlation,
)

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
    assert verdict(same) == "no difference shown"


@pytest.mark.parametrize("step", [0.1, 0.25])
def test_a_constant_difference_claims_no_more_than_its_pairs(step):
    """Six times +step, up to rounding: t would say p = 0, six pairs can say 2/2⁶."""
    b = np.array([0.1, 0.7, 0.3, 0.9, 0.2, 0.6])
    constant = paired_difference(b + step, b)
    assert constant.t_p == constant.sign_flip_p == 2 / 64
    assert math.isnan(constant.effect_size)
    assert verdict(constant) == "higher"


@pytest.mark.parametrize("a, n", [([], 0), ([2.0], 1), ([2.0, NAN], 1)])
def test_one_pair_proves_nothing(a, n):
    answer = paired_difference(a, np.ones(len(a)))
    assert answer.n == n
    assert all(math.isnan(p) for p in (answer.t_p, answer.sign_flip_p, answer.low, answer.high))
    assert verdict(answer) == "no difference shown"


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
    "low, high, p, expected",
    [
        (0.1, 0.3, 0.01, "higher"),
        (-0.3, -0.1, 0.01, "lower"),
        (-0.1, 0.3, 0.01, "no difference shown"),
        (0.0, 0.3, 0.01, "no difference shown"),
        (0.1, 0.3, 0.05, "no difference shown"),
        (-0.3, -0.1, 0.2, "no difference shown"),
        (0.1, 0.3, NAN, "no difference shown"),
        (NAN, NAN, 0.01, "no difference shown"),
    ],
)
def test_verdict_names_no_winner_without_proof(low, high, p, expected):
    difference = PairedDifference(0.2, low, high, 0.001, 0.03, 1.0, 6)
    assert verdict(difference, adjusted_p=p) == expected


def test_verdict_uses_the_own_t_test_by_default():
    assert verdict(PairedDifference(0.2, 0.1, 0.3, 0.2, 0.03, 1.0, 6)) == "no difference shown"


@pytest.mark.parametrize("digits", [8, 0])
def test_tau_against_scipy(digits):
    """With and without ties."""
    generator = np.random.default_rng(4)
    x = generator.normal(size=54)
    y = np.round(x + generator.normal(size=54), digits)
    ours = rank_correlation(np.round(x, digits), y)
    assert ours.tau == pytest.approx(stats.kendalltau(np.round(x, digits), y).statistic, rel=1e-12)
    assert ours.low < ours.tau < ours.high
    assert ours.n == 54


def test_bootstrap_of_tau_against_the_plain_loop():
    """scipy's own bootstrap: the same ends within their Monte-Carlo error."""
    generator = np.random.default_rng(5)
    x = generator.normal(size=30)
    y = x + generator.normal(size=30)
    ours = rank_correlation(x, y)
    oracle = stats.bootstrap(
        (x, y),
        lambda a, b: stats.kendalltau(a, b).statistic,
        paired=True,
        vectorized=False,
        n_resamples=1000,
        method="percentile",
        rng=np.random.default_rng(6),
    ).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((oracle.low, oracle.high), abs=0.03)


def test_tau_is_reproducible_and_drops_pairs():
    x, y = np.arange(8.0), np.array([0.0, 2, 1, 3, NAN, 5, 4, 7])
    kept = ~np.isnan(y)
    assert rank_correlation(x, y) == rank_correlation(x[kept], y[kept])
    assert rank_correlation(x, y).n == 7
    assert rank_correlation(x, y, seed=1).tau == rank_correlation(x, y).tau


@pytest.mark.parametrize("x, y", [([], []), ([1.0], [2.0]), ([1.0, 1, 1, 1, 1], [1.0, 2, 3, 4, 5])])
def test_undefined_tau_is_nan(x, y):
    answer = rank_correlation(x, y)
    assert all(math.isnan(value) for value in (answer.tau, answer.low, answer.high))


def test_too_few_pairs_have_no_interval():
    answer = rank_correlation([1.0, 2, 3, 4], [1.0, 2, 3, 4])
    assert answer.tau == 1.0
    assert math.isnan(answer.low)
    assert not math.isnan(rank_correlation(range(5), range(5)).low)


def test_within_groups_the_level_of_a_group_plays_no_part():
    """Three groups, each reversed inside, rising one to the next: −1 inside, positive overall."""
    inside = np.arange(6.0)
    x = np.concatenate([inside + 100 * g for g in range(3)])
    y = np.concatenate([-inside + 100 * g for g in range(3)])
    groups = np.repeat(["sgd", "sam", "fam"], 6)
    assert within_group_correlation(x, y, groups).tau == -1.0
    assert rank_correlation(x, y).tau > 0


def test_within_groups_is_the_mean_of_the_defined():
    generator = np.random.default_rng(7)
    x, y = generator.normal(size=18), generator.normal(size=18)
    groups = np.repeat([0, 1, 2], 6)
    x[12:] = 1.0  # constant: τ undefined, left out
    taus = [stats.kendalltau(x[groups == g], y[groups == g]).statistic for g in (0, 1)]
    answer = within_group_correlation(x, y, groups)
    assert answer.tau == pytest.approx(np.mean(taus), rel=1e-12)
    assert answer.low < answer.tau < answer.high
    assert answer.n == 12


def test_a_resample_stays_within_its_group():
    """Two groups perfectly ordered inside: every resample is +1, at whatever levels."""
    x = np.concatenate([np.arange(6.0), np.arange(6.0)])
    y = np.concatenate([np.arange(6.0), np.arange(6.0) - 50])
    answer = within_group_correlation(x, y, np.repeat([0, 1], 6))
    assert (answer.low, answer.high) == (1.0, 1.0)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: paired_difference([1.0, 2], [1.0]), "`a` and `b` must be of one length"),
        (lambda: rank_correlation([1.0, 2], [1.0]), "must be of one length"),
        (lambda: t_interval([1.0, 2], level=95), "`level` must lie between 0 and 1. Got 95."),
        (lambda: rank_correlation([1.0], [1.0], resamples=0), "`resamples` must be at least 1"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
