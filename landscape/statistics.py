"""Intervals, paired tests and rank correlation for a handful of seeds.

NaN means not computed (a run that diverged, a measure that does not apply): it is left out,
infinities too, and every answer says in `n` how much it rests on. What cannot be computed is NaN,
never invented.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Floats = NDArray[np.float64]

EXACT_UP_TO = 20  # pairs: 2²⁰ sign vectors take milliseconds
SIGN_DRAWS = 99_999  # beyond, plus the observed signs
FEWEST_FOR_TAU = 5  # with 4 pairs even a perfect order has p = 2/4! > 0.05


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval; `n` samples were finite."""

    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class PairedDifference:
    """a − b over pairs, see `paired_difference`."""

    mean: float
    low: float
    high: float
    t_p: float
    sign_flip_p: float
    effect_size: float
    n: int


@dataclass(frozen=True)
class RankCorrelation:
    """Kendall's τ_b with a bootstrap interval; it rests on `n` pairs."""

    tau: float
    low: float
    high: float
    n: int


def t_interval(samples: ArrayLike, level: float = 0.95) -> Interval:
    """Student's interval of the mean, x̄ ± t·s/√n with n − 1 degrees of freedom.

    Bounds are NaN for n < 2. Equal samples give an interval of width zero.
    """
    _check_level(level)
    x = np.asarray(samples, dtype=float).ravel()
    x = x[np.isfinite(x)]
    n = len(x)
    if n < 2:
        return Interval(float(x[0]) if n else math.nan, math.nan, math.nan, n)
    mean = float(x.mean())
    half = float(stats.t.ppf((1 + level) / 2, n - 1) * x.std(ddof=1) / math.sqrt(n))
    return Interval(mean, mean - half, mean + half, n)


def paired_difference(a: ArrayLike, b: ArrayLike, level: float = 0.95) -> PairedDifference:
    """Two methods on the same seeds: mean of d = a − b, its t interval, two tests of mean zero.

    t_p: the two-sided paired t test.
    sign_flip_p: the two-sided permutation test over all 2ⁿ sign vectors, the observed one among
        them (above 20 pairs: 99,999 seeded draws and the observed). It assumes no normality, but
        is never below 2/2ⁿ: 6 seeds are the fewest that can reach 0.05.
    effect_size: Cohen's d_z, mean/s.

    Where all d are equal, up to rounding, t is infinite or 0/0 and its p of 0 would claim more than
    n pairs can: t_p is then the exact sign_flip_p (1 for a = b) and effect_size NaN. For n < 2 all
    but the mean is NaN.

    ValueError: a and b of different length.
    """
    x, y = _pairs(a, b)
    d = x - y
    n, interval = len(d), t_interval(d, level)
    if n < 2:
        return PairedDifference(
            interval.mean, interval.low, interval.high, math.nan, math.nan, math.nan, n
        )
    exact_p, t_p, effect = _sign_flip_p(d), math.nan, math.nan
    spread = float(d.std(ddof=1))
    if spread <= 8 * np.finfo(float).eps * max(np.abs(x).max(), np.abs(y).max()):
        t_p = exact_p
    else:
        effect = interval.mean / spread
        t_p = float(2 * stats.t.sf(abs(effect) * math.sqrt(n), n - 1))
    return PairedDifference(interval.mean, interval.low, interval.high, t_p, exact_p, effect, n)


def holm(p_values: ArrayLike) -> Floats:
    """Adjusted p values (m,) of tests read together: running maximum of (m − rank)·p (Holm 1979).

    NaN stays NaN and does not count as a test. ValueError: p outside [0, 1].
    """
    p = np.asarray(p_values, dtype=float)
    tested = np.flatnonzero(~np.isnan(p))
    outside = p[tested][(p[tested] < 0) | (p[tested] > 1)]
    if outside.size:
        raise ValueError(f"`p_values` must lie in [0, 1]. Got {outside[0]}.")
    order = tested[np.argsort(p[tested], kind="stable")]
    adjusted = np.full(p.shape, np.nan)
    scaled = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return adjusted


def verdict(
    difference: PairedDifference, adjusted_p: float | None = None, threshold: float = 0.05
) -> str:
    """What may be said of a − b: "higher", "lower" or "no difference shown".

    adjusted_p: the p value after `holm` over all comparisons shown together; default the t_p of
        this one.
    Names a direction only if the interval excludes zero and adjusted_p < threshold; NaN in either
    names none.
    """
    p = difference.t_p if adjusted_p is None else adjusted_p
    if p < threshold and difference.low > 0:
        return "higher"
    if p < threshold and difference.high < 0:
        return "lower"
    return "no difference shown"


def rank_correlation(
    x: ArrayLike, y: ArrayLike, *, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> RankCorrelation:
    """Kendall's τ_b of n pairs, ties allowed, with a percentile bootstrap interval over pairs.

    τ is NaN where x or y is constant; the bounds are NaN below 5 pairs. ValueError: different
    lengths.
    """
    return within_group_correlation(
        x, y, np.zeros(np.size(x)), level=level, resamples=resamples, seed=seed
    )


def within_group_correlation(
    x: ArrayLike,
    y: ArrayLike,
    groups: Sequence[object] | NDArray,
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> RankCorrelation:
    """Mean over groups of Kendall's τ_b inside each: differences between groups play no part.

    With methods as groups: does the measure order the seeds of one method? The bootstrap resamples
    pairs within their group. Groups where τ_b is undefined are left out of the mean; `n` counts the
    pairs of the others.
    """
    _check_level(level)
    a, b, labels = np.asarray(x, dtype=float), np.asarray(y, dtype=float), np.asarray(groups)
    if not a.shape == b.shape == labels.shape or a.ndim != 1:
        raise ValueError(
            "`x`, `y` and `groups` must be of one length. "
            f"Got {a.shape}, {b.shape} and {labels.shape}."
        )
    if resamples < 1:
        raise ValueError(f"`resamples` must be at least 1. Got {resamples}.")
    finite = np.isfinite(a) & np.isfinite(b)
    generator = np.random.default_rng(seed)
    taus, draws, n = [], [], 0
    for label in np.unique(labels[finite]):
        members = finite & (labels == label)
        size = int(members.sum())
        tau, drawn = _bootstrap_tau(a[members], b[members], resamples, generator)
        if not np.isnan(tau):
            taus.append(tau)
            draws.append(drawn)
            n += size
    if not taus:
        return RankCorrelation(math.nan, math.nan, math.nan, n)
    tau = float(np.mean(taus))
    if n < FEWEST_FOR_TAU:
        return RankCorrelation(tau, math.nan, math.nan, n)
    means = _mean_of_known(np.stack(draws))
    low, high = np.quantile(means[~np.isnan(means)], [(1 - level) / 2, (1 + level) / 2])
    return RankCorrelation(tau, float(low), float(high), n)


def _bootstrap_tau(
    x: Floats, y: Floats, resamples: int, generator: np.random.Generator
) -> tuple[float, Floats]:
    """τ_b of the pairs (n,) and of each resample (resamples,), NaN where undefined.

    With c_i, how often pair i was drawn, τ_b = c·K c / √(c·X c · c·Y c), where K_ij = sign(x_i −
    x_j) sign(y_i − y_j) and X, Y mark the pairs that are not tied: three matrix products for all
    resamples.
    """
    n = len(x)
    sx, sy = np.sign(x[:, None] - x), np.sign(y[:, None] - y)
    drawn = generator.multinomial(n, np.full(n, 1 / n), size=resamples)
    counts = np.vstack([np.ones(n), drawn])
    agree, in_x, in_y = (np.sum((counts @ m) * counts, axis=1) for m in (sx * sy, sx**2, sy**2))
    scale = np.sqrt(in_x * in_y)
    taus = np.divide(agree, scale, out=np.full(len(counts), np.nan), where=scale > 0)
    return float(taus[0]), taus[1:]


def _mean_of_known(taus: Floats) -> Floats:
    """Mean over the first axis of (groups, resamples) without the NaN; NaN where all are."""
    known = ~np.isnan(taus)
    count = known.sum(axis=0)
    total = np.where(known, taus, 0.0).sum(axis=0)
    return np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)


def _sign_flip_p(d: Floats) -> float:
    """Share of sign vectors z with |Σ z_i d_i| at least as large as |Σ d_i|."""
    tie = 1e-12 * np.abs(d).sum()  # sums equal up to rounding are equal
    sums = np.zeros(1)
    if len(d) <= EXACT_UP_TO:
        for value in d:
            sums = np.concatenate([sums + value, sums - value])
    else:
        flips = np.random.default_rng(0).choice([-1.0, 1.0], size=(SIGN_DRAWS, len(d)))
        sums = np.append(flips @ d, d.sum())
    return float(np.mean(np.abs(sums) >= abs(d.sum()) - tie))


def _pairs(a: ArrayLike, b: ArrayLike) -> tuple[Floats, Floats]:
    """Both as (n,), without the pairs that are not finite."""
    x, y = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"`a` and `b` must be of one length. Got {x.shape} and {y.shape}.")
    finite = np.isfinite(x) & np.isfinite(y)
    return x[finite], y[finite]


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"`level` must lie between 0 and 1. Got {level}.")
