"""Intervals and paired tests for a handful of seeds.

NaN means not computed (a run that diverged, a measure that does not apply): it is left out,
infinities too, and every answer says in `n` how much it rests on. What cannot be computed is NaN,
never invented.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

EXACT_UP_TO = 20  # pairs: 2²⁰ sign vectors take milliseconds
SIGN_DRAWS = 99_999  # beyond, plus the observed signs


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


def t_interval(samples: ArrayLike, level: float = 0.95) -> Interval:
    """Student's interval of the mean, x̄ ± t·s/√n with n − 1 degrees of freedom.

    Bounds are NaN for n < 2. Equal samples give an interval of width zero.

    Example: x̄ = 2, s = 1, t = 4.303.

    >>> from landscape.statistics.intervals import t_interval
    >>> found = t_interval([1.0, 2.0, 3.0])
    >>> found.mean, round(found.low, 3), round(found.high, 3)
    (2.0, -0.484, 4.484)
    """
    _check_level(level)
    x = np.asarray(samples, dtype=float).ravel()
    x = x[np.isfinite(x)]
    n = len(x)
    if n < 2:
        return Interval(float(x[0]) if n else math.nan, math.nan, math.nan, n)
    mean = float(x.mean())
    if not _varies(x, np.abs(x).max()):
        return Interval(mean, mean, mean, n)
    half = t_quantile(n, level) * float(x.std(ddof=1)) / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, n)


def t_quantile(n: int, level: float = 0.95) -> float:
    """Student's quantile of a two-sided interval from n samples; infinite for fewer than two."""
    from scipy.special import stdtrit

    return float(stdtrit(n - 1, (1 + level) / 2)) if n > 1 else math.inf


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

    Example: six differences of one sign, as unlikely as six seeds can be.

    >>> from landscape.statistics.intervals import paired_difference
    >>> found = paired_difference([3, 4, 6, 5, 7, 8], [2, 2, 3, 4, 5, 5])
    >>> found.mean, found.sign_flip_p
    (2.0, 0.03125)
    """
    x, y = _pairs(a, b)
    d = x - y
    n, interval = len(d), t_interval(d, level)
    if n < 2:
        return PairedDifference(
            interval.mean, interval.low, interval.high, math.nan, math.nan, math.nan, n
        )
    exact_p, t_p, effect = _sign_flip_p(d), math.nan, math.nan
    if _varies(d, max(np.abs(x).max(), np.abs(y).max())):
        effect = interval.mean / float(d.std(ddof=1))
        t_p = _t_test_p(d)
    else:
        t_p = exact_p
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


def _t_test_p(d: Floats) -> float:
    """The two-sided p of Student's t test of mean zero.

    From scipy.special: scipy.stats, which has the test, takes most of a second to import.
    """
    from scipy.special import stdtr

    t = float(d.mean() / d.std(ddof=1)) * math.sqrt(len(d))
    return float(2.0 * stdtr(len(d) - 1, -abs(t)))


def _varies(x: Floats, size: float) -> bool:
    """Test whether samples differ by more than the rounding of numbers of this size."""
    return bool(x.std(ddof=1) > 32 * np.finfo(float).eps * size)


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
