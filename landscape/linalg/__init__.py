"""Estimate eigenvalues, traces and densities of a symmetric matrix from its products alone.

A function v -> A v of shape (n,) -> (n,) goes in, numbers come out: no networks here. Imports
nothing of the package. Start with `lanczos.py`, then `trace.py` and `quadrature.py`.
"""

from landscape.linalg import probes
from landscape.linalg.lanczos import LanczosResult, lanczos
from landscape.linalg.quadrature import Quadrature, stochastic_lanczos
from landscape.linalg.ritz_of_vectors import RitzPairs, rayleigh_ritz
from landscape.linalg.space import Space
from landscape.linalg.subspace import MatVec, Subspace
from landscape.linalg.trace import TraceEstimate, trace

__all__ = [
    "LanczosResult",
    "MatVec",
    "Quadrature",
    "RitzPairs",
    "Space",
    "Subspace",
    "TraceEstimate",
    "lanczos",
    "probes",
    "rayleigh_ritz",
    "stochastic_lanczos",
    "trace",
]
