"""Error bounds of eigenpairs with the error of the products, which no residual shows, included.

The truth is float64 at the same weights. Near the kinks of a ReLU network float32 takes a wrong
mask for some examples. Products at rounded weights see now none of them and now many, and may all
agree on a wrong one, so the error itself is measured: with two random mixes of the pairs, and where
that alone stops a pair from converging, with every pair. Vectors that are not those of the float64
matrix are then completed by what sticks out.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from landscape.distributed.ranks import Alone
from landscape.linalg import LanczosResult, probes, rayleigh_ritz
from landscape.linalg.ritz_of_vectors import combined, directions
from landscape.linalg.subspace import ROUNDING
from landscape.measures.curvature.float64_products import NoFloat64, float64_products
from landscape.measures.curvature.operator import Operator
from landscape.measures.curvature.product_error import product_error
from landscape.utils.memory import free_bytes

MIXES = 2
CONFIDENCE = 7.06  # 1/√(1 % quantile of χ² with 2 degrees of freedom)
ROUNDS = 3  # of directions that complete the vectors
HELD = 8  # float64 blocks as large as the pairs
COUNTS = 0.1  # of the tolerance: a direction with less of the residual is left out


@dataclass(frozen=True)
class Certified:
    """Eigenpairs with bounds of |θ − λ|, the error of the products included, (p,) or (n, p)."""

    values: Tensor
    vectors: Tensor
    residuals: Tensor
    bounds: Tensor
    converged: Tensor  # bool
    error_from: str  # how the error of the products was found


def mixing(p: int, like: Tensor, seed: int) -> Tensor:
    """The weights G (p, q) float64 of mixes of p pairs: Gaussian, but of one or two pairs, which
    need no mixing. Lanczos knows its own products with them.
    """
    if p <= MIXES:
        return torch.eye(p, dtype=torch.float64, device=like.device)
    return torch.stack(list(probes.gaussians(like.new_empty(p), MIXES, seed)), 1).double()


def certified(
    operator: Operator, pairs: LanczosResult, which: str, tolerance: float, seed: int
) -> Certified:
    """The pairs of Lanczos with bounds that hold for the true matrix.

    which: their order. tolerance: relative to max|θ|; a pair has converged when its bound is
    within it and no other can pass it. seed: of the random mixes, those of `mixing` for all pairs.

    Where the network cannot run in float64, or computes in it already, an estimate by products at
    rounded weights decides.
    """
    allowed = tolerance * pairs.norm
    if pairs.vectors.dtype == torch.float64:
        return _estimated(operator, pairs, allowed, seed)
    try:
        mixes = _Mixes.of(operator, pairs, seed)
        answer = _with_error(pairs, mixes.error, allowed, "mixes in float64")
        if not _helps(pairs, answer, allowed, operator.ranks):
            return answer
        return _refined(operator, pairs, mixes, which, allowed)
    except NoFloat64:
        return _estimated(operator, pairs, allowed, seed)


def _helps(pairs: LanczosResult, answer: Certified, allowed: float, ranks: Alone) -> bool:
    """Test whether the error of the products alone stops a pair, and float32 vectors and the memory
    that is free can do better.
    """
    x = pairs.vectors
    by_itself = pairs.ranked & (pairs.bounds - pairs.rounding <= allowed)
    stopped = bool((by_itself & ~answer.converged).any()) and not bool(pairs.values.isnan().any())
    free = ranks.least(free_bytes(x.device))
    fits = free is None or HELD * 8 * x.numel() <= free
    return stopped and fits and allowed >= ROUNDING * torch.finfo(x.dtype).eps * pairs.norm


def _estimated(operator: Operator, pairs: LanczosResult, allowed: float, seed: int) -> Certified:
    """Bounds by an estimate in the products' own arithmetic."""
    error = product_error(operator, _computed(pairs), seed)
    differences = operator.products == "finite differences"
    return _with_error(pairs, error, allowed, "step sizes" if differences else "rounded weights")


@dataclass(frozen=True)
class _Mixes:
    """A few random mixes X G of the p pairs, float64: one or two pairs need no mixing."""

    weights: Tensor  # (p, q) G
    products: Tensor  # (n, q) H64 X G
    error: float  # ≥ ‖(H64 − Ĥ) X‖ with 99 %

    @classmethod
    def of(cls, operator: Operator, pairs: LanczosResult, seed: int) -> "_Mixes":
        """By E = (H64 − Ĥ) X G, G (p, 2) Gaussian: CONFIDENCE·‖E‖ ≥ ‖(H64 − Ĥ) X‖ with 99 %."""
        x = _computed(pairs)
        weights = mixing(x.shape[1], x, seed)
        mixes = combined(x, weights)
        products, seen = float64_products(operator, mixes), pairs.mixed
        if seen is None:
            seen = torch.stack([operator.product(mix.to(x)) for mix in mixes.unbind(1)], 1)
        confidence = CONFIDENCE if x.shape[1] > MIXES else 1.0
        return cls(weights, products, confidence * float((products - seen).norm()))


def _refined(
    operator: Operator, pairs: LanczosResult, mixes: _Mixes, which: str, allowed: float
) -> Certified:
    """Ritz pairs and residuals in float64; the bounds add how far Lanczos saw each rank come.

    The products of the mixes are known, so only the rest of the pairs' span is multiplied. Where
    the vectors are not those of the float64 matrix, its products with what sticks out complete
    them.
    """
    x, y = _multiplied(operator, pairs.vectors, mixes)
    rounds = 0
    while True:
        ritz = rayleigh_ritz(x, y, lambda values: _wanted(values, which, len(pairs.values)))
        vectors = ritz.vectors.to(pairs.vectors)
        lost = 2 * ritz.values.abs().max() * (ritz.vectors - vectors).norm(dim=0)  # by storing them
        residuals = (ritz.left.norm(dim=0) + lost).cpu()
        bounds = residuals + pairs.moved
        outside = directions(ritz.left, COUNTS * allowed)
        if rounds == ROUNDS or not outside.shape[1] or bool((bounds <= allowed).all()):
            break
        x = torch.cat([ritz.vectors, outside], 1)
        y = torch.cat([ritz.products, float64_products(operator, outside)], 1)
        rounds += 1
    converged = pairs.ranked & (bounds <= allowed)
    return Certified(
        ritz.values.cpu(), vectors, residuals, bounds, converged, "residuals in float64"
    )


def _multiplied(operator: Operator, vectors: Tensor, mixes: _Mixes) -> tuple[Tensor, Tensor]:
    """An independent basis X (n, p) of the vectors' span, and H64 X: the mixes, and what is
    orthogonal to their weights.
    """
    q = mixes.weights.shape[1]
    turned, triangle = torch.linalg.qr(mixes.weights, mode="complete")
    x = combined(vectors, turned)
    y = torch.linalg.solve_triangular(triangle[:q], mixes.products, upper=True, left=False)
    if q < x.shape[1]:
        y = torch.cat([y, float64_products(operator, x[:, q:])], 1)
    return x, y


def _wanted(values: Tensor, which: str, p: int) -> Tensor:
    """Indices (p,) of the wanted ones of ascending values (m,), in the order of a record."""
    among = torch.arange(len(values), device=values.device)
    if which == "both":
        among = torch.cat([among[: p // 2], among[len(values) - p // 2 :]])
    chosen = values[among]
    key = {"largest": -chosen, "smallest": chosen}.get(which, -chosen.abs())
    return among[key.argsort(stable=True)[:p]]


def _computed(pairs: LanczosResult) -> Tensor:
    """The vectors (n, q) of the pairs that there are."""
    return pairs.vectors[:, ~pairs.values.isnan().to(pairs.vectors.device)]


def _with_error(pairs: LanczosResult, error: float, allowed: float, error_from: str) -> Certified:
    bounds = pairs.bounds + error
    converged = pairs.ranked & (bounds <= allowed)
    return Certified(pairs.values, pairs.vectors, pairs.residuals, bounds, converged, error_from)
