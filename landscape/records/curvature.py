"""Records of the Hessian at a point."""

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from landscape.records.record import Array, Axes, Record


@dataclass(frozen=True, eq=False, repr=False)
class EigenvaluesRecord(Record):
    """Extreme eigenvalues of the curvature; each true one lies within `bounds` of its value.

    curvature: "hessian", "gauss-newton", "fisher" or "empirical-fisher"; layer: the module whose
    diagonal block it is, or None.
    products: "double backward", "forward over reverse" or "finite differences"; ways: how the
    first two compared; product_error: their relative error, which the bounds include. precision:
    "ieee" or "tf32"; precision_error: of such a product, relative to an ieee one. graphs: "kept"
    between products, "rebuilt" for each, or "none".
    product_cost: median time of a product, in units of a gradient. error_from: how the error of the
    products within the bounds was found: from "mixes in float64" of the pairs, with "residuals in
    float64", from products at "rounded weights" or of other "step sizes"; None where it is not
    included.
    """

    kind: ClassVar[str] = "eigenvalues"
    values: Annotated[Array, Axes("pair")]  # (k,) sorted by magnitude, as `which` says otherwise
    residuals: Annotated[Array, Axes("pair")]  # (k,) ‖Hv - θv‖
    bounds: Annotated[Array, Axes("pair")]  # (k,) of |θ - λ|, see `landscape.linalg.lanczos`
    converged: Annotated[Array, Axes("pair")]  # (k,) bool
    hvps: int
    which: str
    backend: str = "lanczos"
    curvature: str = "hessian"
    layer: str | None = None
    products: str = "double backward"
    product_error: float = 0.0
    product_cost: float = float("nan")
    ways: str = ""
    precision: str = "ieee"
    precision_error: float = 0.0
    graphs: str = "kept"
    error_from: str | None = None
    vectors: Array | None = field(default=None, metadata={"transient": True})  # (m, k), not saved
    saved_vectors: Annotated[Array | None, Axes("weight", "pair")] = None  # the same, on request

    def __post_init__(self) -> None:
        """Take the vectors from the file where they were saved."""
        if self.vectors is None:
            object.__setattr__(self, "vectors", self.saved_vectors)


@dataclass(frozen=True, eq=False, repr=False)
class CrossCheckRecord(Record):
    """Eigenvalues by several solvers, each judged by our own exact products.

    A row is a backend, ours first. It is NaN where the backend failed; `message` has the reason.
    """

    kind: ClassVar[str] = "cross_check"
    backends: Annotated[Array, Axes("backend")]  # (b,) names
    values: Annotated[Array, Axes("backend", "pair")]  # (b, k)
    residuals: Annotated[Array, Axes("backend", "pair")]  # (b, k) ‖Hv - θv‖
    bounds: Annotated[Array, Axes("backend", "pair")]  # (b, k) of |θ - λ|
    met: Annotated[Array, Axes("backend", "pair")]  # (b, k) bool: residual ≤ tolerance·max|λ|
    differs: Annotated[Array, Axes("backend", "pair")]  # (b, k) bool: from ours by more than bounds
    hvps: Annotated[Array, Axes("backend")]  # (b,)
    seconds: Annotated[Array, Axes("backend", units="s")]  # (b,)
    message: Annotated[Array, Axes("backend")]  # (b,) why there is nothing, or ""
    which: str
    tolerance: float


@dataclass(frozen=True, eq=False, repr=False)
class TraceRecord(Record):
    """Trace of the Hessian or another curvature: in [low, high] with 95 % confidence."""

    kind: ClassVar[str] = "trace"
    value: float
    stderr: float  # over the random directions
    low: float
    high: float
    draws: int  # random directions
    deflated: int  # dimension of the subspace whose share is known
    hvps: int
    converged: bool  # (high − low)/2 ≤ tolerance·|value|
    method: str = "krylov"
    curvature: str = "hessian"
    layer: str | None = None
    n: int = 0  # of the matrix
    products: str = "double backward"
    product_error: float = 0.0  # relative, of one product
    ways: str = ""  # how forward over reverse compared with double backward
    precision: str = "ieee"  # of the products: "ieee" or "tf32"
    precision_error: float = 0.0  # of such a product, relative to an ieee one


@dataclass(frozen=True, eq=False, repr=False)
class SpectralDensityRecord(Record):
    """Density of the eigenvalues of the Hessian or another curvature; its integral is 1."""

    kind: ClassVar[str] = "spectral_density"
    grid: Annotated[Array, Axes("grid", units="eigenvalue")]  # (g,) evenly spaced
    density: Annotated[Array, Axes("grid", units="1/eigenvalue")]  # (g,)
    low: Annotated[Array, Axes("grid", units="1/eigenvalue")]  # (g,) pointwise 95 %, probes
    high: Annotated[Array, Axes("grid", units="1/eigenvalue")]
    nodes: Annotated[Array, Axes("probe", "step", units="eigenvalue")]  # NaN where Lanczos ended
    weights: Annotated[Array, Axes("probe", "step")]  # of sum 1 for each probe
    width: float  # the kernel's standard deviation, in units of the eigenvalues
    mean: float  # the mean eigenvalue, trace/n, with its 95 % interval over the probes
    mean_low: float
    mean_high: float
    steps_error: float  # share of the mass that the last quarter of the steps has moved
    hvps: int
    n: int  # of the matrix
    curvature: str = "hessian"
    layer: str | None = None
    products: str = "double backward"
    product_error: float = 0.0  # relative, of one product
    ways: str = ""  # how forward over reverse compared with double backward
    precision: str = "ieee"  # of the products: "ieee" or "tf32"
    precision_error: float = 0.0  # of such a product, relative to an ieee one
