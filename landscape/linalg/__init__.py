"""Linear algebra by products alone: a matvec (n,) → (n,) in, numbers out; no networks here."""

from landscape.linalg import probes
from landscape.linalg.lanczos import LanczosResult, lanczos
from landscape.linalg.quadrature import Quadrature, stochastic_lanczos
from landscape.linalg.subspace import MatVec, Subspace
from landscape.linalg.trace import TraceEstimate, trace

__all__ = [
    "LanczosResult",
    "MatVec",
    "Quadrature",
    "Subspace",
    "TraceEstimate",
    "lanczos",
    "probes",
    "stochastic_lanczos",
    "trace",
]
