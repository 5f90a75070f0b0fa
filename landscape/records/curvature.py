"""Records of the Hessian at a point."""

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from landscape.records.record import Array, Axes, Record


@dataclass(frozen=True, eq=False)
class EigenvaluesRecord(Record):
    """Extreme eigenvalues of the Hessian; each true one lies within `bounds` of its value."""

    kind: ClassVar[str] = "eigenvalues"
    values: Annotated[Array, Axes("pair")]  # (k,) sorted by magnitude, as `which` says otherwise
    residuals: Annotated[Array, Axes("pair")]  # (k,) ‖Hv - θv‖
    bounds: Annotated[Array, Axes("pair")]  # (k,) min(r, r²/gap)
    converged: Annotated[Array, Axes("pair")]  # (k,) bool
    hvps: int
    which: str
    backend: str = "lanczos"
    vectors: Array | None = field(default=None, metadata={"transient": True})  # (n, k), not saved
