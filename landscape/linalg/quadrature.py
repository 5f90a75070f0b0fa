"""Spectral sums tr f(H) by stochastic Lanczos quadrature (Golub & Welsch 1969; Ubaru, Chen & Saad
2017, DOI 10.1137/16M1104974).

Lanczos from a direction x gives nodes θ and weights τ with xᵀf(H)x/‖x‖² = Σ τ_j f(θ_j), exactly for
polynomials of degree 2·steps − 1, and for every f once `steps` spans all that H makes of x.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from landscape.linalg.quadratic_forms import Estimate, Floats, estimate, numbered_directions
from landscape.linalg.rows import Computed, Rows
from landscape.linalg.subspace import MatVec, Subspace

SHORTER = 0.75  # of the steps: the rules that tell what the last quarter has changed


@dataclass(frozen=True)
class Quadrature:
    """Quadrature rules, one per probe; NaN where Lanczos ended early, in an invariant subspace."""

    nodes: Floats  # (probes, steps) ascending
    weights: Floats  # (probes, steps) non-negative, of sum 1
    n: int
    matvecs: int  # that it took
    shorter: "Quadrature | None" = None  # the same probes after three quarters of the steps

    def mean(self, f: Callable[[Floats], Floats]) -> Estimate:
        """Estimate tr f(H)/n, with its error over the probes; f maps θ (...) to (..., any)."""
        weights = np.nan_to_num(self.weights)
        values = f(np.nan_to_num(self.nodes))
        forms = self.n * np.einsum("ps,ps...->p...", weights, values)
        squares = self.n * np.einsum("ps,ps...->p...", weights, values**2)
        return Estimate(*(part / self.n for part in estimate(forms, squares, self.n)))


def fitting_steps(like: Tensor, steps: int, memory: int) -> int:
    """Steps of a Lanczos process of vectors as `like` (n,): at most n, and as many as keep their
    basis within `memory` bytes.
    """
    n = len(like)
    return max(1, min(steps, n, memory // (n * like.dtype.itemsize) - 1))


def stochastic_lanczos(
    matvec: MatVec,
    like: Tensor,
    probes: int,
    steps: int,
    *,
    seed: int = 0,
    memory: int = 2**31,
    callback: Callable[[int], None] | None = None,
    rows: Rows | None = None,
) -> Quadrature:
    """Compute quadrature rules of `steps` nodes from each of `probes` random directions.

    matvec: v (n,) ↦ H v (n,), H symmetric; like: (n,) of its dtype and on its device.
    steps: at most n, and as many vectors as `memory` bytes hold: the basis is kept, because without
        full reorthogonalisation nodes repeat.
    callback: called as callback(matvecs) after each probe that is computed here.
    rows: gives the rules of the probes where they may be known or computed elsewhere.

    ValueError: fewer than two probes or one step; a product that is not finite.
    """
    if probes < 2:
        raise ValueError(f"`probes` must be at least 2, for an error. Got {probes}.")
    if steps < 1:
        raise ValueError(f"`steps` must be at least 1. Got {steps}.")
    steps = fitting_steps(like, steps, memory)
    lengths = steps, math.ceil(SHORTER * steps)
    direction, spent = numbered_directions(like, seed), 0

    def evaluate(numbers: Sequence[int]) -> Iterator[Floats]:
        nonlocal spent
        for i in numbers:
            projected = _projected(matvec, direction(i), steps)
            rules = [rule for length in lengths for rule in _rule(projected, length)]
            spent += len(projected)
            if callback is not None:
                callback(spent)
            yield np.concatenate([[len(projected)], *rules])

    found = np.array((rows or Computed())(probes, evaluate))
    matvecs, n = int(found[:, 0].sum()), len(like)
    ends = np.cumsum([steps, steps, lengths[1]])
    nodes, weights, first, share = np.split(found[:, 1:], ends, axis=1)
    return Quadrature(nodes, weights, n, matvecs, Quadrature(first, share, n, matvecs))


def _projected(matvec: MatVec, x: Tensor, steps: int) -> Tensor:
    """H in the Krylov space of a direction x (n,): symmetric (m, m), m ≤ steps the products."""
    space = Subspace(matvec, len(x), steps, start=x, dtype=x.dtype, device=x.device)
    while not space.full:
        space.expand()
        if not space.coupling.any():
            break  # what follows would belong to other directions
    return (space.projected + space.projected.T) / 2


def _rule(projected: Tensor, steps: int) -> tuple[Floats, Floats]:
    """Nodes and weights (steps,) of the first steps: eigenvalues of the leading block, and the
    squared first components of its eigenvectors.
    """
    values, vectors = torch.linalg.eigh(projected[:steps, :steps])
    nodes, weights = np.full((2, steps), np.nan)
    nodes[: len(values)], weights[: len(values)] = values, vectors[0] ** 2
    return nodes, weights
