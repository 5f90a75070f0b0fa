"""Linear algebra by products alone: a matvec (n,) → (n,) in, numbers out; no networks here."""

from landscape.linalg import probes
from landscape.linalg.lanczos import LanczosResult, lanczos
from landscape.linalg.subspace import MatVec, Subspace

__all__ = ["LanczosResult", "MatVec", "Subspace", "lanczos", "probes"]
