"""Ritz pairs of a few vectors X from their products H X, all in float64: no Krylov space needed."""

from dataclasses import dataclass

import torch
from torch import Tensor

from landscape.linalg.subspace import SLAB


@dataclass(frozen=True)
class RitzPairs:
    """θ, x = X c with residuals of the x as stored; float64 on the CPU but for the vectors."""

    values: Tensor  # (k,) θ, ascending
    vectors: Tensor  # (n, k) unit columns x, in the dtype and on the device of X
    residuals: Tensor  # (k,) at most this far ‖H x − θ x‖: an eigenvalue lies this near


def rayleigh_ritz(x: Tensor, y: Tensor) -> RitzPairs:
    """Ritz pairs in the span of X (n, k), independent columns, from Y = H X (n, k) in float64.

    The float64 numbers beside Y are one slab of rows. Storing x in fewer digits moves it by d;
    its residual grows by at most 2·‖H‖·‖d‖, with max|θ| for ‖H‖.
    """
    k = x.shape[1]
    gram, projected = y.new_zeros(k, k), y.new_zeros(k, k)
    for rows in _slabs(len(x)):
        exact = x[rows].double()
        gram += exact.T @ exact
        projected += exact.T @ y[rows]
    factor = torch.linalg.cholesky(gram)
    half = torch.linalg.solve_triangular(factor, (projected + projected.T) / 2, upper=False)
    inner = torch.linalg.solve_triangular(factor, half.T, upper=False)
    values, turned = torch.linalg.eigh((inner + inner.T) / 2)
    weights = torch.linalg.solve_triangular(factor.T, turned, upper=True)
    vectors, left, lost = torch.empty_like(x), values.new_zeros(k), values.new_zeros(k)
    for rows in _slabs(len(x)):
        exact = x[rows].double() @ weights
        vectors[rows] = exact.to(x)
        left += (y[rows] @ weights - exact * values).square().sum(0)
        lost += (exact - vectors[rows]).square().sum(0)
    residuals = left.sqrt() + 2 * values.abs().max() * lost.sqrt()
    return RitzPairs(values.cpu(), vectors, residuals.cpu())


def _slabs(n: int) -> list[slice]:
    return [slice(first, first + SLAB) for first in range(0, n, SLAB)]
