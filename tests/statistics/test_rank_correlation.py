"""Rank correlation against scipy, exact enumeration, planted studies, and its stated coverage."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from landscape.statistics.rank_correlation import granulated_correlation, rank_correlation

NAN = math.nan
SHAPE = (4, 6)  # methods, seeds
METHOD, SEED = (axis.ravel() for axis in np.indices(SHAPE))


def kendall(x, y):
    return stats.kendalltau(x, y).statistic


@pytest.mark.parametrize("digits", [8, 0])
def test_tau_against_scipy(digits):
    """With and without ties."""
    generator = np.random.default_rng(4)
    x = generator.normal(size=54)
    y = np.round(x + generator.normal(size=54), digits)
    ours = rank_correlation(np.round(x, digits), y)
    assert ours.tau == pytest.approx(kendall(np.round(x, digits), y), rel=1e-12)
    assert ours.low < ours.tau < ours.high
    assert (ours.n, ours.draws) == (54, 54)


def wider(draws):
    """The level of a percentile interval that Student's t asks for."""
    t = stats.t.ppf(0.975, draws - 1) * math.sqrt(draws / (draws - 1))
    return 1 - 2 * stats.norm.sf(t)


def test_bootstrap_of_pairs_against_scipys():
    generator = np.random.default_rng(5)
    x = generator.normal(size=30)
    y = x + generator.normal(size=30)
    ours = rank_correlation(x, y)
    oracle = stats.bootstrap(
        (x, y), kendall, paired=True, vectorized=False, n_resamples=1000, method="percentile",
        confidence_level=wider(30), rng=np.random.default_rng(6),
    ).confidence_interval  # fmt: skip
    assert (ours.low, ours.high) == pytest.approx((oracle.low, oracle.high), abs=0.03)


def naive(x, y, drawn):
    """Overall, within and across τ of a resample, seed by seed: each copy is a seed of its own."""
    a, b = x[:, drawn], y[:, drawn]
    within = [kendall(a[m], b[m]) for m in range(len(a))]
    across = [kendall(a[:, s], b[:, s]) for s in range(len(drawn))]
    return kendall(a.ravel(), b.ravel()), np.nanmean(within), np.nanmean(across)


def test_bootstrap_of_seeds_against_exact_enumeration():
    """All 5⁵ resamples of five seeds, by their 126 multisets with their weights: the exact ends."""
    generator = np.random.default_rng(8)
    x = generator.normal(size=(4, 5)) + np.arange(4)[:, None]
    y = x + 1.5 * generator.normal(size=(4, 5))
    method, seed = (axis.ravel() for axis in np.indices((4, 5)))
    values, weights = [], []
    for drawn in itertools.combinations_with_replacement(range(5), 5):
        counts = np.bincount(drawn, minlength=5)
        if counts.max() < 5:  # one seed alone has no τ within a method
            overall, within, across = naive(x, y, list(drawn))
            values.append((overall, within, across, (within + across) / 2))
            weights.append(math.factorial(5) / np.prod([math.factorial(c) for c in counts]))
    tail = (1 - wider(5)) / 2
    asked = [[np.zeros(20)], [method], [seed], [method, seed]]
    for i, axes in enumerate(asked):
        ours = granulated_correlation(x.ravel(), y.ravel(), axes, seed, resamples=20_000)
        exact = naive(x, y, range(5))
        expected = [*exact, (exact[1] + exact[2]) / 2][i]
        assert ours.tau == pytest.approx(expected, rel=1e-12)
        column = np.array(values)[:, i]
        order = np.argsort(column)
        below = np.cumsum(np.array(weights)[order]) / np.sum(weights)
        for end, level in ((ours.low, tail), (ours.high, 1 - tail)):
            near = column[order][
                np.searchsorted(below, [level - 0.003, level + 0.003]).clip(0, 120)
            ]
            assert near[0] - 1e-9 <= end <= near[1] + 1e-9 or abs(end - near).min() < 0.03


def test_seeds_are_the_draws():
    """Every seed shifts both by a lot: the interval over seeds is wide, that over pairs is not."""
    generator = np.random.default_rng(9)
    shift = 5 * generator.normal(size=6)
    x = (shift + generator.normal(size=SHAPE)).ravel()
    y = (shift * np.array([1, -1, 1, -1, 1, -1]) + generator.normal(size=SHAPE)).ravel()
    pairs, seeds = rank_correlation(x, y), rank_correlation(x, y, SEED)
    assert pairs.tau == seeds.tau
    assert (seeds.draws, seeds.n) == (6, 24)
    assert seeds.high - seeds.low > 1.3 * (pairs.high - pairs.low)


def test_each_axis_sees_what_varies_along_it():
    """Levels of methods rise together, seeds inside are reversed: −1 within, +1 across."""
    x = (100 * METHOD + SEED).astype(float)
    y = (100 * METHOD - SEED).astype(float)
    within = granulated_correlation(x, y, [METHOD], SEED)
    across = granulated_correlation(x, y, [SEED], SEED)
    both = granulated_correlation(x, y, [METHOD, SEED], SEED)
    assert (within.tau, within.low, within.high) == (-1.0, -1.0, -1.0)
    assert (across.tau, across.low, across.high) == (1.0, 1.0, 1.0)
    assert both.tau == 0.0
    assert rank_correlation(x, y, SEED).tau > 0.5


def test_a_paper_example_of_two_axes_by_hand():
    """2 × 2: along one axis τ are 1 and −1, along the other 1 and 1: ψ = 0 and 1, Ψ = 1/2."""
    x = np.array([0.0, 1.0, 2.0, 3.0])  # (a, b): 00, 01, 10, 11
    y = np.array([0.0, 1.0, 5.0, 4.0])
    a, b = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    assert granulated_correlation(x, y, [a]).tau == 0.0  # b varies: (0, 1) up, (5, 4) down
    assert granulated_correlation(x, y, [b]).tau == 1.0  # a varies: 0 to 5, 1 to 4
    assert granulated_correlation(x, y, [a, b]).tau == 0.5


def test_cells_without_a_tau_are_left_out():
    generator = np.random.default_rng(7)
    x, y = generator.normal(size=18), generator.normal(size=18)
    groups = np.repeat([0, 1, 2], 6)
    x[12:] = 1.0  # constant
    taus = [kendall(x[groups == g], y[groups == g]) for g in (0, 1)]
    answer = granulated_correlation(x, y, [groups])
    assert answer.tau == pytest.approx(np.mean(taus), rel=1e-12)
    assert answer.low < answer.tau < answer.high


def test_a_resample_stays_within_its_cell():
    """Two cells perfectly ordered inside: every resample is +1, at whatever levels."""
    x = np.concatenate([np.arange(6.0), np.arange(6.0)])
    y = np.concatenate([np.arange(6.0), np.arange(6.0) - 50])
    answer = granulated_correlation(x, y, [np.repeat([0, 1], 6)])
    assert (answer.low, answer.high) == (1.0, 1.0)


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


def test_too_few_draws_have_no_interval():
    answer = rank_correlation([1.0, 2, 3, 4], [1.0, 2, 3, 4])
    assert answer.tau == 1.0
    assert math.isnan(answer.low)
    assert not math.isnan(rank_correlation(range(5), range(5)).low)
    few = rank_correlation(np.arange(12.0), np.arange(12.0), np.arange(12) % 4)
    assert few.draws == 4 and math.isnan(few.high)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: rank_correlation([1.0, 2], [1.0]), "must be of one length"),
        (lambda: rank_correlation([1.0, 2], [1.0, 2], [1]), "must be of one length"),
        (lambda: rank_correlation([1.0], [1.0], resamples=0), "`resamples` must be at least 1"),
        (lambda: rank_correlation([1.0], [1.0], level=2), "`level` must lie between 0 and 1"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def planted(generator, methods, seeds):
    """Methods differ, seeds shift all of them, and each minimum has noise of its own: (x, y)."""
    level = np.linspace(-1, 1, methods)[:, None]
    shift = 0.5 * generator.normal(size=seeds)
    own = generator.normal(size=(methods, seeds))
    x = level + shift + own + 0.3 * generator.normal(size=own.shape)
    return x.ravel(), (level + 0.5 * shift + 0.6 * own + generator.normal(size=own.shape)).ravel()


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [5, 6, 10])
def test_intervals_cover_what_they_are_of(seeds):
    """1000 simulated studies of 5 methods; the truth is the mean τ of 1500 others.

    Between 0.9 and 0.99 for every kind: few seeds, and τ far from normal.
    """
    generator, methods = np.random.default_rng(0), 5
    method, seed = (axis.ravel() for axis in np.indices((methods, seeds)))
    for axes in ([np.zeros(len(seed))], [method], [seed], [method, seed]):
        truth = np.mean(
            [
                granulated_correlation(*planted(generator, methods, seeds), axes, resamples=1).tau
                for _ in range(1500)
            ]
        )
        hits = 0
        for i in range(1000):
            x, y = planted(generator, methods, seeds)
            found = granulated_correlation(x, y, axes, seed, resamples=200, seed=i)
            hits += found.low <= truth <= found.high
        assert 0.885 <= hits / 1000 <= 0.999, (axes, hits)
