"""Error bounds of eigenpairs with the error of the products, which no residual shows, included.

An estimate in the products' own arithmetic decides where it is small enough. Kinks of ReLU networks
make it a lottery: rounding takes a wrong mask for some examples, of which the estimate sees now
none and now many. Where it alone stops a pair from converging, the error itself is measured: first
with two random mixes of the pairs, then with every pair, in float64 at the same weights. Away from
exact kinks the Hessian of the piecewise smooth loss is defined there, and is the truth.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from landscape.linalg import LanczosResult, probes, rayleigh_ritz
from landscape.linalg.subspace import ROUNDING
from landscape.measures.curvature.float64_products import NoFloat64, float64_products
from landscape.measures.curvature.operator import Operator
from landscape.measures.curvature.product_error import product_error

MIXES = 2
CONFIDENCE = 7.06  # 1/√(1 % quantile of χ² with 2 degrees of freedom)


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

    Where the network cannot run in float64, or float32 vectors cannot meet the tolerance, the
    estimate decides.
    """
    allowed = tolerance * pairs.norm
    answer = _estimated(operator, pairs, allowed, seed)
    by_itself = pairs.ranked & (pairs.bounds - pairs.rounding <= allowed)
    stopped = bool((by_itself & ~answer.converged).any()) and not bool(pairs.values.isnan().any())
    resolved = tolerance >= ROUNDING * torch.finfo(pairs.vectors.dtype).eps
    if not stopped or not resolved or pairs.vectors.dtype == torch.float64:
        return answer
    try:
        if len(pairs.values) > MIXES:
            mixed = _mixed(operator, pairs, allowed, seed)
            if mixed.converged.all():
                return mixed
        return _refined(operator, pairs, which, allowed)
    except NoFloat64:
        return answer


def _estimated(operator: Operator, pairs: LanczosResult, allowed: float, seed: int) -> Certified:
    """Bounds by an estimate in the products' own arithmetic."""
    computed = ~pairs.values.isnan().to(pairs.vectors.device)
    error = product_error(operator, pairs.vectors[:, computed], seed)
    differences = operator.products == "finite differences"
    return _with_error(pairs, error, allowed, "step sizes" if differences else "rounded weights")


def _mixed(operator: Operator, pairs: LanczosResult, allowed: float, seed: int) -> Certified:
    """Bounds by E = (H64 − Ĥ) X G, G (p, 2) Gaussian: CONFIDENCE·‖E‖ ≥ ‖(H64 − Ĥ) X‖ with 99 %."""
    gaussians = probes.gaussians(pairs.vectors.new_empty(len(pairs.values)), MIXES, seed)
    mixes = torch.stack([pairs.vectors @ g for g in gaussians], 1)
    apart = float64_products(operator, mixes)
    for column, v in zip(apart.unbind(1), mixes.unbind(1), strict=True):
        column -= operator.product(v)
    return _with_error(pairs, CONFIDENCE * float(apart.norm()), allowed, "two mixes in float64")


def _refined(operator: Operator, pairs: LanczosResult, which: str, allowed: float) -> Certified:
    """Ritz pairs and residuals in float64; the bounds add how far Lanczos saw each rank come."""
    ritz = rayleigh_ritz(pairs.vectors, float64_products(operator, pairs.vectors))
    order = {"largest": -ritz.values, "smallest": ritz.values}.get(which, -ritz.values.abs())
    first = order.argsort(stable=True)
    bounds = ritz.residuals[first] + pairs.moved
    return Certified(
        ritz.values[first],
        ritz.vectors[:, first.to(ritz.vectors.device)],
        ritz.residuals[first],
        bounds,
        pairs.ranked & (bounds <= allowed),
        "all pairs in float64",
    )


def _with_error(pairs: LanczosResult, error: float, allowed: float, error_from: str) -> Certified:
    bounds = pairs.bounds + error
    converged = pairs.ranked & (bounds <= allowed)
    return Certified(pairs.values, pairs.vectors, pairs.residuals, bounds, converged, error_from)
