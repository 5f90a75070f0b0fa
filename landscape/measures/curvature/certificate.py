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

from landscape.linalg import LanczosResult, probes, rayleigh_ritz
from landscape.linalg.ritz_of_vectors import directions
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


def certified(
    operator: Operator, pairs: LanczosResult, which: str, tolerance: float, seed: int
) -> Certified:
    """The pairs of Lanczos with bounds that hold for the true matrix.

    which: their order. tolerance: relative to max|θ|; a pair has converged when its bound is
    within it and no other can pass it. seed: of the random mixes.

    Where the network cannot run in float64, or computes in it already, an estimate by products at
    rounded weights decides.
    """
    allowed = tolerance * pairs.norm
    if pairs.vectors.dtype == torch.float64:
        return _estimated(operator, pairs, allowed, seed)
    try:
        answer = _mixed(operator, pairs, allowed, seed)
        return (
            _refined(operator, pairs, which, allowed) if _helps(pairs, answer, allowed) else answer
        )
    except NoFloat64:
        return _estimated(operator, pairs, allowed, seed)


def _helps(pairs: LanczosResult, answer: Certified, allowed: float) -> bool:
    """Whether the error of the products alone stops a pair, and float32 vectors and the memory
    that is free can do better.
    """
    x = pairs.vectors
    by_itself = pairs.ranked & (pairs.bounds - pairs.rounding <= allowed)
    stopped = bool((by_itself & ~answer.converged).any()) and not bool(pairs.values.isnan().any())
    free = free_bytes(x.device)
    fits = free is None or HELD * 8 * x.numel() <= free
    return stopped and fits and allowed >= ROUNDING * torch.finfo(x.dtype).eps * pairs.norm


def _estimated(operator: Operator, pairs: LanczosResult, allowed: float, seed: int) -> Certified:
    """Bounds by an estimate in the products' own arithmetic."""
    error = product_error(operator, _computed(pairs), seed)
    differences = operator.products == "finite differences"
    return _with_error(pairs, error, allowed, "step sizes" if differences else "rounded weights")


def _mixed(operator: Operator, pairs: LanczosResult, allowed: float, seed: int) -> Certified:
    """Bounds by E = (H64 − Ĥ) X G, G (p, 2) Gaussian: CONFIDENCE·‖E‖ ≥ ‖(H64 − Ĥ) X‖ with 99 %.
    One or two pairs need no mixing.
    """
    mixes, confidence = _computed(pairs), 1.0
    if mixes.shape[1] > MIXES:
        gaussians = probes.gaussians(mixes.new_empty(mixes.shape[1]), MIXES, seed)
        mixes, confidence = torch.stack([mixes @ g for g in gaussians], 1), CONFIDENCE
    apart = float64_products(operator, mixes)
    for column, v in zip(apart.unbind(1), mixes.unbind(1), strict=True):
        column -= operator.product(v)
    return _with_error(pairs, confidence * float(apart.norm()), allowed, "mixes in float64")


def _refined(operator: Operator, pairs: LanczosResult, which: str, allowed: float) -> Certified:
    """Ritz pairs and residuals in float64; the bounds add how far Lanczos saw each rank come.

    Where the vectors are not those of the float64 matrix, its products with what sticks out
    complete them.
    """
    x = pairs.vectors.double()
    y, rounds = float64_products(operator, x), 0
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
