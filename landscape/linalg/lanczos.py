"""Extreme eigenvalues of a symmetric H by products H v: thick-restart Lanczos (Wu & Simon 2000).

Full reorthogonalisation, so that no eigenvalue is repeated. Each has an a posteriori error bound,
and the iteration stops on these bounds alone.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from landscape.linalg.ritz import Ritz
from landscape.linalg.space import Space
from landscape.linalg.subspace import MatVec, Subspace

ENDS = ("magnitude", "largest", "smallest", "both")


GUARD = 2  # products at least between settling and the end
BESIDE = 4  # vectors held beside the basis and the answer: the next one and those of a product
PROBES = 4  # products from a second random vector
LOOSE = 1e-3  # a tolerance above which runs are short, and a second random vector takes twice these
RISE = 0.1  # of the tolerance, by which a value must pass another to count


@dataclass(frozen=True)
class LanczosResult:
    """Ritz pairs θ, x of H with their uncertainty: p = k, 2k for `both`; NaN where there is none.

    The bounds are relative to H as the matvec computes it: they do not see an error that every
    product shares.
    """

    values: Tensor  # (p,) float64; by |θ| descending, `largest` descending, `smallest` ascending
    vectors: Tensor  # (n, p) unit columns, in the matvec's dtype and on its device
    residuals: Tensor  # (p,) ‖H x − θ x‖, rounding included: an eigenvalue lies this near
    bounds: Tensor  # (p,) stated bound of |θ − λ|; inf where a single look gave none
    estimates: Tensor  # (p,) min(r, r²/gap): the error if no eigenvalue hides in the gap
    converged: Tensor  # (p,) bool
    matvecs: int
    norm: float  # max|θ|: the estimate of ‖H‖₂ that `tolerance` is relative to
    rounding: Tensor  # (p,) the share of the products' rounding in `bounds`
    moved: Tensor  # (p,) how far the value of this rank came between two looks, within `bounds`
    ranked: Tensor  # (p,) bool: no other Ritz value can pass it by more than the tolerance
    asymmetry: float  # ‖C − Cᵀ‖/‖C‖ of C = VᵀHV as the matvec computes it, the largest of the run
    mixed: Tensor | None = None  # (n, q) float64 H X G, as far as the basis tells; None where not


def lanczos(
    matvec: MatVec,
    n: int,
    k: int,
    which: str = "magnitude",
    *,
    tolerance: float = 1e-4,
    max_matvecs: int | None = None,
    max_basis: int | None = None,
    memory: int = 2**31,
    free: int | None = None,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    callback: Callable[[int, float], None] | None = None,
    shards: Space | None = None,
    mixes: Tensor | None = None,
) -> LanczosResult:
    """Compute the k eigenvalues of H at one end of its spectrum, or k at each end.

    matvec: v (n,) ↦ H v (n,), H symmetric; gets and gives `dtype` on `device`; must not write to v.
    which: magnitude | largest | smallest | both.
    tolerance: a pair has converged when its bound is ≤ tolerance·max|θ| and the outermost other
        Ritz values, with their residuals, cannot pass it by more than that.
    max_matvecs: then it returns what there is; default 100 per wanted pair, at least 1000.
    max_basis: vectors held before a restart; default 128, or 4 per pair, or as many as `memory`
        bytes hold, but never fewer than 2 per pair and 8, unless `free`, the bytes that there are,
        ask for fewer: two more than the pairs will do, with more restarts.
    callback: called as callback(matvecs, worst bound of the wanted pairs / max|θ|) after each
        check.
    shards: where this process holds a shard of each vector: n is that of the whole, the matvec and
        the vectors of the result are shards, and all processes call alike.
    mixes: G (p, q) float64, for the products H X G of mixes of the pairs: H V = V C + v cᵀ, so they
        take none.

    The bound is max(r, moved) + rounding. There is an eigenvalue within r = ‖H x − θ x‖; `moved`,
    how far the value of this rank came since the last check, shows ranks still changing. `rounding`
    is 10·eps·‖H‖ and the asymmetry that the products show within the subspace: a tolerance under
    twice that cannot be met, the run then ends there and says `converged` False. r²/gap (Kato,
    Temple) is smaller, but holds only if no eigenvalue hides in the gap, which one Ritz value
    standing for two neighbours does not tell: not used to stop.

    Once all have settled it goes on for a quarter more products, and ends only if they still have:
    a start that hardly holds an outer eigenvector shows it late. Without that 16 of 2,000 starts
    missed one of ten in an indefinite bulk, with it none. The bounds are those at settling: a Ritz
    value between two close eigenvalues may get a smaller residual and be no nearer to either.

    A Krylov space holds one copy of a multiple eigenvalue. So for k > 1, at the end, 4 products, 8
    for tolerances above 1e-3, from a second random vector, orthogonal to what was found, look for a
    value that belongs among the wanted ones; where there is one, all goes on until there is none.

    What no bound covers: eigenvalues closer together than about tolerance·max|θ| may be counted
    once, and the ranks behind them then move up, as they do where a multiple eigenvalue stands out
    too little for 4 products to show it. A smaller tolerance separates neighbours.

    ValueError: k, which, tolerance, max_matvecs, max_basis or dtype out of range; more vectors than
        `free` bytes hold; a product that is not finite.
    """
    pairs = _check(n, k, which, tolerance, max_matvecs, max_basis, dtype)
    limit = max(1000, 100 * pairs) if max_matvecs is None else max_matvecs
    if max_basis is None:
        local = n if shards is None else shards.local
        max_basis = usual_basis(max(local, 1) * dtype.itemsize, pairs, memory)
    if free is not None:
        max_basis = min(max_basis, _largest_basis(n, pairs, k, free, dtype))
    space = Subspace(matvec, n, max_basis, seed=seed, dtype=dtype, device=device, space=shards)
    before = torch.empty(0, dtype=torch.float64)
    probes = PROBES if tolerance <= LOOSE else 2 * PROBES
    until = 0
    settled: Ritz | None = None
    while True:
        ahead = until if settled is not None else pairs
        for _ in range(max(2, space.size // 25, ahead - space.matvecs)):  # a check costs m³
            if not space.full and space.matvecs < limit:
                space.expand()
        ritz = Ritz.of(space, which, before)
        worst = float(ritz.bounds[:pairs].max()) / (ritz.norm or 1.0)
        if callback is not None:
            callback(space.matvecs, worst)
        slack = max(tolerance * ritz.norm, 2 * float(ritz.rounding[:pairs].max()))
        done = space.size >= pairs and bool(ritz.settled(pairs, which, slack).all())
        if not done:
            settled = None
        elif settled is None:
            until, settled = space.matvecs + max(GUARD, space.matvecs // 4), ritz
        before = ritz.strength
        if settled is not None and space.matvecs >= until:
            found = _result(space, ritz.bounded_as(settled), which, pairs, tolerance, mixes)
            spare = min(n - space.size, limit - space.matvecs)
            rise = RISE * slack
            if k == 1 or spare < probes or not _lacks_one(space, ritz, found, which, rise, probes):
                if callback is not None:
                    callback(space.matvecs, worst)
                return replace(found, matvecs=space.matvecs, asymmetry=space.asymmetry)
            settled = None
        elif space.size == n or space.matvecs >= limit:
            return _result(space, ritz, which, pairs, tolerance, mixes)
        elif space.full:
            keep = slice((pairs + space.size) // 2)
            space.restart(
                ritz.values[keep], ritz.weights[:, keep], float(ritz.rounding[keep].max())
            )


def usual_basis(vector: int, pairs: int, memory: int) -> int:
    """Vectors of so many bytes each that are held before a restart, in `memory` bytes."""
    return max(2 * pairs + 8, min(memory // vector - 1, max(128, 4 * pairs)))


def _largest_basis(n: int, pairs: int, k: int, free: int, dtype: torch.dtype) -> int:
    """Vectors that fit in `free` bytes beside the answer and what a product takes."""
    beside = 2 * pairs + BESIDE
    least = min(n, pairs + 2)
    size = free // (n * dtype.itemsize) - beside
    if size < least:
        needed = (least + beside) * n * dtype.itemsize
        raise ValueError(
            f"{pairs} eigenvectors of n = {n} parameters need {needed:.3g} bytes, and {free:.3g} "
            f"are free. Lower `k` (--k or --set eigenvalues.k), now {k}, or choose one layer."
        )
    return size


def _lacks_one(
    space: Subspace, ritz: Ritz, found: LanczosResult, which: str, slack: float, probes: int
) -> bool:
    """Test with a second random vector whether a wanted value is missing, as copies of a multiple
    eigenvalue are. The space then holds the pairs and that vector's Krylov space.
    """
    shown, kept = _shown(ritz, which, len(found.values)), slice(len(found.values))
    error = float(ritz.rounding[kept].max())
    space.renew(ritz.values[shown], ritz.weights[:, shown], error, found.vectors.T)
    for _ in range(min(probes, space.capacity - space.size)):
        space.expand()
    before = ritz.strength[kept]
    return Ritz.of(space, which, before).passes(before, which, slack)


def _shown(ritz: Ritz, which: str, pairs: int) -> Tensor:
    """Indices of the wanted pairs in the order of a result."""
    values = ritz.values[:pairs]
    if which == "both":
        return values.abs().argsort(descending=True, stable=True)
    return torch.arange(len(values))


def _result(
    space: Subspace, ritz: Ritz, which: str, pairs: int, tolerance: float, mixes: Tensor | None
) -> LanczosResult:
    """The wanted pairs in the order promised, filled up with NaN to `pairs`."""
    ranked, shown = ritz.ranked(pairs, which, tolerance * ritz.norm), _shown(ritz, which, pairs)
    missing = pairs - len(shown)

    def fill(x: Tensor, blank: float = torch.nan) -> Tensor:
        return torch.cat([x[shown], x.new_full((missing,), blank)])

    vectors = space.combine(ritz.weights[:, shown])
    blank = vectors.new_full((missing, vectors.shape[1]), torch.nan)
    return LanczosResult(
        values=fill(ritz.values),
        vectors=torch.cat([vectors, blank]).T,
        residuals=fill(ritz.residuals),
        bounds=fill(ritz.bounds),
        estimates=fill(ritz.estimates),
        converged=fill(ranked & (ritz.bounds[:pairs] <= tolerance * ritz.norm), False),
        matvecs=space.matvecs,
        norm=ritz.norm,
        rounding=fill(ritz.rounding),
        moved=fill(ritz.moved),
        ranked=fill(ranked, False),
        asymmetry=space.asymmetry,
        mixed=None
        if missing or mixes is None
        else space.product(ritz.weights[:, shown] @ mixes.to(ritz.weights)),
    )


def _check(
    n: int,
    k: int,
    which: str,
    tolerance: float,
    max_matvecs: int | None,
    max_basis: int | None,
    dtype: torch.dtype,
) -> int:
    """Refuse what cannot be done; the number of pairs wanted."""
    if which not in ENDS:
        raise ValueError(f"`which` must be one of {', '.join(ENDS)}. Got {which!r}.")
    if k < 1:
        raise ValueError(f"`k` must be at least 1. Got {k}.")
    if k > n:
        raise ValueError(f"`k` must be at most n = {n}, the number of parameters. Got {k}.")
    pairs = 2 * k if which == "both" else k
    if pairs > n:
        raise ValueError(
            f"`k` must be at most n // 2 = {n // 2} for k pairs at both ends. Got {k}: "
            "ask for k = n by magnitude to get the whole spectrum."
        )
    if not tolerance >= 0:
        raise ValueError(f"`tolerance` must be non-negative. Got {tolerance}.")
    if max_matvecs is not None and max_matvecs < 1:
        raise ValueError(f"`max_matvecs` must be at least 1. Got {max_matvecs}.")
    if max_basis is not None and max_basis < min(n, pairs + 2):
        raise ValueError(
            f"`max_basis` must be at least {min(n, pairs + 2)}, two more than the pairs asked for. "
            f"Got {max_basis}."
        )
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(f"`dtype` must be torch.float32 or torch.float64. Got {dtype}.")
    return pairs
