"""Rank correlation over the minima of a study: does a measure order them as generalisation does?

Minima of one seed share start, order and split. They are one draw, not several: give the seeds as
`clusters`, and the bootstrap draws seeds, each with all its minima. NaN is left out, as in
`landscape.statistics.intervals`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from landscape.statistics.intervals import t_quantile

Floats = NDArray[np.float64]

FEWEST = 5  # draws for an interval: with 4 even a perfect order of pairs has p = 2/4! > 0.05


@dataclass(frozen=True)
class RankCorrelation:
    """Kendall's τ_b, or a mean of several, with a bootstrap interval; `n` pairs, `draws` clusters.

    Where every resample agrees, as for perfect order, the interval has no width: it then says no
    more than that all draws agree.
    """

    tau: float
    low: float
    high: float
    n: int
    draws: int


def rank_correlation(
    x: ArrayLike,
    y: ArrayLike,
    clusters: ArrayLike | None = None,
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> RankCorrelation:
    """Kendall's τ_b of n pairs, ties allowed; of everything with everything.

    clusters: label of the draw that each pair belongs to; default each is its own. τ is NaN where x
    or y is constant, the bounds below 5 draws. ValueError: different lengths.
    """
    return granulated_correlation(
        x, y, [np.zeros(np.size(x))], clusters, level=level, resamples=resamples, seed=seed
    )


def granulated_correlation(
    x: ArrayLike,
    y: ArrayLike,
    axes: Sequence[ArrayLike],
    clusters: ArrayLike | None = None,
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> RankCorrelation:
    """Ψ, the mean over axes of ψ, the mean τ_b inside the cells where nothing but that axis varies.

    Jiang et al., ICLR 2020 (arXiv 1912.02178): what differs between cells plays no part. axes: for
    each axis the label of everything else, (n,): [method labels] gives the mean τ_b within methods
    (the seed varies), [seed labels] that across methods (at a fixed seed), both together Ψ. Cells
    where τ_b is undefined are left out, and axes without any.

    The interval is the percentile bootstrap over clusters, its levels widened to what Student's t
    needs with as many draws (Hesterberg 2015, arXiv 1411.5279). In simulated studies of 5 to 10
    seeds 95 % covered 90 to 99 %.
    """
    a, b = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    labels = [np.asarray(axis) for axis in axes]
    draw = np.arange(a.size) if clusters is None else np.asarray(clusters)
    _check((a, b, *labels, draw), level, resamples)
    finite = np.isfinite(a) & np.isfinite(b)
    names, draw = np.unique(draw[finite], return_inverse=True)
    a, b, labels = a[finite], b[finite], [axis[finite] for axis in labels]
    count = len(names)
    nothing = RankCorrelation(math.nan, math.nan, math.nan, 0, 0)
    if not count:
        return nothing
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), resamples)
    times = np.vstack([np.ones(count), drawn])  # how often each cluster; the first row is the data
    psi = _mean_of_known([_axis(a, b, axis, draw, times) for axis in labels])
    tau, rest = float(psi[0]), psi[1:][~np.isnan(psi[1:])]
    if math.isnan(tau):
        return nothing
    if count < FEWEST:
        return RankCorrelation(tau, math.nan, math.nan, len(a), count)
    tail = _tail(level, count)
    low, high = np.quantile(rest, [tail, 1 - tail])
    return RankCorrelation(tau, float(low), float(high), len(a), count)


def _axis(x: Floats, y: Floats, labels: NDArray, draw: NDArray, times: Floats) -> Floats:
    """ψ of one axis for each row of `times`, (rows,).

    A cell inside one cluster is there as often as its cluster was drawn, others are there once.
    """
    taus, weights = [], []
    for label in np.unique(labels):
        inside = labels == label
        found = np.unique(draw[inside])
        taus.append(_tau(x[inside], y[inside], times[:, draw[inside]]))
        weights.append(times[:, found[0]] if len(found) == 1 else np.ones(len(times)))
    return _mean_of_known(taus, weights)


def _tau(x: Floats, y: Floats, counts: Floats) -> Floats:
    """τ_b of the pairs (n,), each taken as often as a row of `counts` (rows, n) says; NaN: none.

    With c a row, τ_b = c·K c / √(c·X c · c·Y c), where K_ij = sign(x_i − x_j) sign(y_i − y_j) and
    X, Y mark the pairs that are not tied: three matrix products for all rows.
    """
    sx, sy = np.sign(x[:, None] - x), np.sign(y[:, None] - y)
    agree, in_x, in_y = (np.sum((counts @ m) * counts, axis=1) for m in (sx * sy, sx**2, sy**2))
    scale = np.sqrt(in_x * in_y)
    return np.divide(agree, scale, out=np.full(len(counts), np.nan), where=scale > 0)


def _mean_of_known(values: Sequence[Floats], weights: Sequence[Floats] | None = None) -> Floats:
    """Weighted mean over the first axis without the NaN; NaN where all are, or weigh nothing."""
    stacked = np.stack(values)
    known = ~np.isnan(stacked)
    weight = known * (np.ones_like(stacked) if weights is None else np.stack(weights))
    total = (weight * np.where(known, stacked, 0.0)).sum(axis=0)
    count = weight.sum(axis=0)
    return np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)


def _tail(level: float, draws: int) -> float:
    """Φ(−t √(n/(n − 1))), t Student's quantile with n − 1 degrees of freedom."""
    from scipy.special import ndtr

    return float(ndtr(-t_quantile(draws, level) * math.sqrt(draws / (draws - 1))))


def _check(arrays: Sequence[NDArray], level: float, resamples: int) -> None:
    shapes = {array.shape for array in arrays}
    if len(shapes) != 1 or arrays[0].ndim != 1:
        raise ValueError(
            "`x`, `y`, `axes` and `clusters` must be of one length. "
            f"Got {', '.join(str(array.shape) for array in arrays)}."
        )
    if not 0 < level < 1:
        raise ValueError(f"`level` must lie between 0 and 1. Got {level}.")
    if resamples < 1:
        raise ValueError(f"`resamples` must be at least 1. Got {resamples}.")
