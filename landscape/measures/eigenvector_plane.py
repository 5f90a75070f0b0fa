"""Planes through a minimum along eigenvectors of its Hessian."""

from dataclasses import dataclass

import numpy as np
import torch

from landscape.measures.eigenvalues import Eigenvalues
from landscape.measures.space.planes import Plane
from landscape.objective.objective import Objective
from landscape.records import Array, EigenvaluesRecord


def eigenvector_plane(objective: Objective, seed: int = 0) -> Plane:
    """Span w + x v1 + y v2 by the unit eigenvectors of ∇²L with the largest |λ|.

    Second differences of L along the axes are then the eigenvalues. seed: of the solver's start.
    """
    vectors = Eigenvalues(k=2, seed=seed)(objective).vectors
    d1, d2 = torch.from_numpy(vectors).to(objective.w).unbind(1)
    return Plane(objective.w, d1, d2)


@dataclass(frozen=True, eq=False)
class SharpestPlane:
    """Plane of the two largest eigenvalues: values and their error bounds (2,), descending."""

    plane: Plane
    values: Array
    bounds: Array


def sharpest_plane(
    objective: Objective, known: EigenvaluesRecord | None = None, seed: int = 0
) -> SharpestPlane:
    """Span w + x v1 + y v2 by the unit eigenvectors of the two largest eigenvalues of ∇²L.

    known: eigenvalues measured at the same objective, whose vectors are taken where they hold the
    two largest; else they are computed, from a start vector of `seed`.
    """
    pair = None if known is None else _two_largest(known)
    if known is None or pair is None:
        known = Eigenvalues(k=2, which="largest", seed=seed)(objective)
        pair = np.arange(2)
    assert known.vectors is not None
    d1, d2 = torch.from_numpy(known.vectors[:, pair]).to(objective.w).unbind(1)
    return SharpestPlane(Plane(objective.w, d1, d2), known.values[pair], known.bounds[pair])


def _two_largest(known: EigenvaluesRecord) -> Array | None:
    """Places of the two largest eigenvalues of the whole Hessian; None where the record may lack
    one of them, or its vector.

    Of values chosen by magnitude, those left out are not larger than the smallest |λ| among them.
    """
    whole = known.curvature == "hessian" and known.layer is None and known.vectors is not None
    if not whole or known.which == "smallest" or len(known.values) < 2:
        return None
    order = np.argsort(-known.values)[:2]
    if not known.converged[order].all() or not np.isfinite(known.values).all():
        return None
    complete = known.which != "magnitude" or known.values[order[1]] >= np.abs(known.values).min()
    return order if complete else None
