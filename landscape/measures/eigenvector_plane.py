"""Plane through a minimum along the two sharpest directions of its Hessian."""

import torch

from landscape.measures.eigenvalues import Eigenvalues
from landscape.measures.space.planes import Plane
from landscape.objective.objective import Objective


def eigenvector_plane(objective: Objective, seed: int = 0) -> Plane:
    """Span w + x v1 + y v2 by the unit eigenvectors of ∇²L with the largest |λ|.

    Second differences of L along the axes are then the eigenvalues. seed: of the solver's start.
    """
    vectors = Eigenvalues(k=2, seed=seed)(objective).vectors
    d1, d2 = torch.from_numpy(vectors).to(objective.w).unbind(1)
    return Plane(objective.w, d1, d2)
