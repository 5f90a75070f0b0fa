"""Does a measure order the networks of a grid of settings as a target does, and along which axis?

Jiang, Neyshabur, Mobahi, Krishnan, Bengio, ICLR 2020 (arXiv 1912.02178): ψ of an axis is the mean
Kendall τ_b where nothing else varies, Ψ the mean over axes. Means hide failures (Dziugaite et al.,
NeurIPS 2020, arXiv 2010.11924), so the worst axis is kept and decides with them.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from landscape.records.study import SIGNIFICANT
from landscape.statistics.intervals import holm
from landscape.statistics.rank_correlation import (
    RankCorrelation,
    granulated_correlation,
    rank_correlation,
)

Floats = NDArray[np.float64]

PERMUTATIONS = 1000
NEGLIGIBLE = 0.2  # |Ψ| that predicts nothing worth the name
PREDICTS, DOES_NOT, UNDECIDED = "predicts", "does not predict", "not decided"


@dataclass(frozen=True)
class Granulated:
    """Agreement of one measure with one target in how they order networks.

    tau: over all pairs of networks. psi: by axis, in `axes` order, each with its interval. Psi:
    their mean. within, between: by axis, the mean τ_b among the networks of one value, and τ_b of
    the means over each value. partial: τ_b of the ranks
    that remain once the ranks of a nuisance are regressed out. band: the middle 95 % of Ψ where the
    measure is permuted inside cells; p: two-sided, from the same permutations.
    """

    tau: RankCorrelation
    axes: tuple[str, ...]
    psi: tuple[RankCorrelation, ...]
    Psi: RankCorrelation
    within: tuple[float, ...]
    between: tuple[float, ...]
    partial: RankCorrelation
    band: tuple[float, float]
    p: float

    @property
    def worst(self) -> tuple[str, RankCorrelation] | None:
        """Axis of the lowest ψ, with it; None where every ψ is undefined."""
        known = [pair for pair in zip(self.axes, self.psi, strict=True) if pair[1].n]
        return min(known, key=lambda pair: pair[1].tau, default=None)

    @property
    def share_positive(self) -> float:
        """Share of axes with ψ > 0, among those where it is defined; NaN for none."""
        known = [psi.tau for psi in self.psi if psi.n]
        return sum(tau > 0 for tau in known) / len(known) if known else math.nan


def granulated(
    measure: ArrayLike,
    target: ArrayLike,
    settings: Mapping[str, ArrayLike],
    seeds: ArrayLike | None = None,
    nuisance: ArrayLike | None = None,
    *,
    resamples: int = 2000,
    seed: int = 0,
) -> Granulated:
    """Correlations of a measure (n,) with a target (n,) over networks of a grid.

    settings: values of each axis by name, (n,) each. seeds: of the training, (n,); the networks of
    one setting are one draw of the bootstrap, and a cell holds networks of one seed. nuisance:
    (n,), as the training loss; without it `partial` is NaN. Pairs that are not finite are left out.

    Raises ValueError for different lengths.
    """
    x, y = np.asarray(measure, dtype=float), np.asarray(target, dtype=float)
    codes = {name: _codes(values) for name, values in settings.items()}
    of_seed = np.zeros(x.size, dtype=int) if seeds is None else _codes(seeds)
    if any(a.shape != x.shape or a.ndim != 1 for a in (y, of_seed, *codes.values())):
        raise ValueError("`measure`, `target`, `settings` and `seeds` must be of one length.")
    draw = _joint(list(codes.values()), x.size)
    cells = [_joint([of_seed, *(c for n, c in codes.items() if n != name)], x.size)
             for name in codes]  # fmt: skip

    def interval(labels: Sequence[NDArray]) -> RankCorrelation:
        return granulated_correlation(x, y, labels, draw, resamples=resamples, seed=seed)

    whole = interval(cells)
    null = null_of(x, y, cells, seed=seed)
    p, band = math.nan, (math.nan, math.nan)
    if whole.n:
        p = (1 + int(np.sum(np.abs(null) >= abs(whole.tau) - 1e-12))) / (1 + len(null))
        band = (float(np.quantile(null, 0.025)), float(np.quantile(null, 0.975)))
    return Granulated(
        tau=rank_correlation(x, y, draw, resamples=resamples, seed=seed),
        axes=tuple(codes),
        psi=tuple(interval([labels]) for labels in cells),
        Psi=whole,
        within=tuple(
            granulated_correlation(x, y, [values], resamples=1).tau for values in codes.values()
        ),
        between=tuple(_between(x, y, values) for values in codes.values()),
        partial=_partial(x, y, nuisance, draw, resamples, seed),
        band=band,
        p=p,
    )


def null_of(
    x: Floats, y: Floats, cells: Sequence[NDArray], count: int = PERMUTATIONS, seed: int = 0
) -> Floats:
    """Ψ for each of `count` permutations of x inside the cells of every axis, (count,)."""
    finite = np.isfinite(x) & np.isfinite(y)
    generator = np.random.default_rng(seed)
    of_axes = [_permuted_psi(x[finite], y[finite], labels[finite], count, generator)
               for labels in cells]  # fmt: skip
    defined = [psi for psi in of_axes if np.isfinite(psi).all()]
    return np.mean(defined, axis=0) if defined else np.full(count, np.nan)


def _permuted_psi(
    x: Floats, y: Floats, labels: NDArray, count: int, generator: np.random.Generator
) -> Floats:
    """ψ of an axis for each permutation; all NaN where no cell has an order."""
    taus = []
    for label in np.unique(labels):
        inside = labels == label
        sx = np.sign(x[inside][:, None] - x[inside])
        sy = np.sign(y[inside][:, None] - y[inside])
        scale = math.sqrt((sx**2).sum() * (sy**2).sum())
        if scale > 0:
            orders = generator.permuted(np.tile(np.arange(inside.sum()), (count, 1)), axis=1)
            agree = (sx[orders[:, :, None], orders[:, None, :]] * sy).sum(axis=(1, 2))
            taus.append(agree / scale)
    return np.mean(taus, axis=0) if taus else np.full(count, np.nan)


def verdicts(answers: Sequence[Granulated]) -> list[tuple[str, float]]:
    """Verdict and Holm's p of each measure, read together.

    Predicts: p < 0.05, Ψ > 0 and no axis whose ψ lies significantly below zero. Does not predict:
    the interval of Ψ lies within ±0.2. Else it is not decided.
    """
    adjusted = holm([answer.p for answer in answers])
    return [(_verdict(a, float(p)), float(p)) for a, p in zip(answers, adjusted, strict=True)]


def _verdict(answer: Granulated, p: float) -> str:
    whole, worst = answer.Psi, answer.worst
    if p < SIGNIFICANT and whole.tau > 0 and not (worst and worst[1].high < 0):
        return PREDICTS
    if whole.low >= -NEGLIGIBLE and whole.high <= NEGLIGIBLE:
        return DOES_NOT
    return UNDECIDED


def _between(x: Floats, y: Floats, values: NDArray) -> float:
    """τ_b of the means over the networks of each value of an axis."""
    finite = np.isfinite(x) & np.isfinite(y)
    groups = [finite & (values == value) for value in np.unique(values[finite])]
    means = [(x[inside].mean(), y[inside].mean()) for inside in groups]
    a, b = np.array(means).T if means else (np.empty(0), np.empty(0))
    return rank_correlation(a, b, resamples=1).tau


def _partial(
    x: Floats, y: Floats, nuisance: ArrayLike | None, draw: NDArray, resamples: int, seed: int
) -> RankCorrelation:
    """τ_b of what a straight line in the nuisance's ranks leaves of the ranks of x and y."""
    nothing = RankCorrelation(math.nan, math.nan, math.nan, 0, 0)
    if nuisance is None:
        return nothing
    z = np.asarray(nuisance, dtype=float)
    finite = np.isfinite(x) & np.isfinite(y) & np.isfinite(z)
    if not finite.any():
        return nothing
    a, b = (_residual(_ranks(v[finite]), _ranks(z[finite])) for v in (x, y))
    return rank_correlation(a, b, draw[finite], resamples=resamples, seed=seed)


def _ranks(values: Floats) -> Floats:
    """Ranks from 1, ties at their mean."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[inverse])


def _residual(ranks: Floats, nuisance: Floats) -> Floats:
    """Residuals of a least-squares line, those of the size of rounding set to zero."""
    line = np.column_stack([np.ones_like(nuisance), nuisance])
    rest = ranks - line @ np.linalg.lstsq(line, ranks, rcond=None)[0]
    rounded: Floats = np.round(rest, 9)
    return rounded


def _codes(values: ArrayLike) -> NDArray:
    return np.unique(np.asarray(values), return_inverse=True)[1]


def _joint(codes: Sequence[NDArray], size: int) -> NDArray:
    """Label each combination of several, (n,)."""
    if not codes:
        return np.zeros(size, dtype=int)
    return np.unique(np.column_stack(codes), axis=0, return_inverse=True)[1].ravel()
