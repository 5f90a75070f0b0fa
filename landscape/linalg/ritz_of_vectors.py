"""Ritz pairs of a few vectors X from their products H X: no Krylov space needed."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from landscape.linalg.subspace import SLAB


@dataclass(frozen=True)
class RitzPairs:
    """Ritz pairs θ, x of H with its products."""

    values: Tensor  # (k,) θ
    vectors: Tensor  # (n, k) unit columns x, orthogonal to each other
    products: Tensor  # (n, k) H x

    @property
    def left(self) -> Tensor:
        """H x − θ x, (n, k): orthogonal to all vectors that the pairs were made of."""
        return self.products - self.vectors * self.values


def rayleigh_ritz(x: Tensor, y: Tensor, chosen: Callable[[Tensor], Tensor]) -> RitzPairs:
    """Ritz pairs in the span of X (n, m), independent columns, from Y = H X (n, m).

    chosen: values (m,), ascending, to the indices (k,) of those that are wanted, in order.
    """
    factor = torch.linalg.cholesky(x.T @ x)
    projected = x.T @ y
    half = torch.linalg.solve_triangular(factor, (projected + projected.T) / 2, upper=False)
    inner = torch.linalg.solve_triangular(factor, half.T, upper=False)
    values, turned = torch.linalg.eigh((inner + inner.T) / 2)
    wanted = chosen(values)
    weights = torch.linalg.solve_triangular(factor.T, turned[:, wanted], upper=True)
    return RitzPairs(values[wanted], x @ weights, y @ weights)


def combined(x: Tensor, weights: Tensor) -> Tensor:
    """X W (n, q) in float64 for X (n, p) and W (p, q) float64, in slabs of rows."""
    product = x.new_empty(x.shape[0], weights.shape[1], dtype=torch.float64)
    for rows, result in zip(x.split(SLAB), product.split(SLAB), strict=True):
        torch.mm(rows.double(), weights, out=result)
    return product


def directions(block: Tensor, least: float) -> Tensor:
    """Orthonormal directions (n, u) of a block (n, k) along which it is longer than `least`: its
    left singular vectors.
    """
    squares, turned = torch.linalg.eigh(block.T @ block)
    kept = squares > least**2
    return block @ (turned[:, kept] / squares[kept].sqrt())
