"""Spectral sums tr f(H) by stochastic Lanczos quadrature (Golub & Welsch 1969; Ubaru, Chen & Saad
2017, DOI 10.1137/16M1104974).

Lanczos from a direction x gives nodes θ and weights τ with xᵀf(H)x/‖x‖² = Σ τ_j f(θ_j), exactly for
polynomials of degree 2·steps − 1, and for every f once `steps` spans all that H makes of x.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from landscape.linalg.quadratic_forms import Estimate, Floats, directions, estimate
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


def stochastic_lanczos(
    matvec: MatVec,
    like: Tensor,
    probes: int,
    steps: int,
    *,
    seed: int = 0,
    memory: int = 2**31,
    callback: Callable[[int], None] | None = None,
) -> Quadrature:
    """Compute quadrature rules of `steps` nodes from each of `probes` random directions.

    matvec: v (n,) ↦ H v (n,), H symmetric; like: (n,) of its dtype and on its device.
    steps: at most n, and as many vectors as `memory` bytes hold: the basis is kept, because without
        full reorthogonalisation nodes repeat.
    callback: called as callback(matvecs) after each probe.

    ValueError: fewer than two probes or one step; a product that is not finite.
    """
    if probes < 2:
        raise ValueError(f"`probes` must be at least 2, for an error. Got {probes}.")
    if steps < 1:
        raise ValueError(f"`steps` must be at least 1. Got {steps}.")
    n = len(like)
    steps = max(1, min(steps, n, memory // (n * like.dtype.itemsize) - 1))
    matvecs, projected = 0, []
    for x in directions(like, probes, seed):
        space = Subspace(matvec, n, steps, start=x, dtype=like.dtype, device=like.device)
        while not space.full:
            space.expand()
            if not space.coupling.any():
                break  # what follows would belong to other directions
        projected.append((space.projected + space.projected.T) / 2)
        matvecs += space.matvecs
        if callback is not None:
            callback(matvecs)
    shorter = _rules(projected, math.ceil(SHORTER * steps))
    return Quadrature(*_rules(projected, steps), n, matvecs, Quadrature(*shorter, n, matvecs))


def _rules(projected: list[Tensor], steps: int) -> tuple[Floats, Floats]:
    """Nodes and weights (probes, steps) of the first steps: eigenvalues of the leading block, and
    the squared first components of its eigenvectors.
    """
    nodes, weights = np.full((2, len(projected), steps), np.nan)
    for i, c in enumerate(projected):
        values, vectors = torch.linalg.eigh(c[:steps, :steps])
        nodes[i, : len(values)], weights[i, : len(values)] = values, vectors[0] ** 2
    return nodes, weights
