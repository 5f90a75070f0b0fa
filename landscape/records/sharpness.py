"""Records of newer sharpness measures: critical, adaptive, PAC-Bayes, over mini-batches."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from landscape.records.flatness import mean_and_stderr
from landscape.records.record import Array, Axes, Record


@dataclass(frozen=True, eq=False, repr=False)
class CriticalSharpnessRecord(Record):
    """Critical sharpness λ_c = 2/η_c along an update, within [low, high] of the search.

    low, high: the search's uncertainty alone; stderr: over the choice of examples, at a fixed Δ;
    NaN where they cannot be told apart. directional: ΔᵀHΔ/Δᵀg. slope: Δᵀg. looks: losses that were
    evaluated on the line. direction: "gradient" or "given".
    """

    kind: ClassVar[str] = "critical_sharpness"
    value: float
    low: float
    high: float
    stderr: float
    directional: float
    slope: float
    looks: int
    direction: str


@dataclass(frozen=True, eq=False, repr=False)
class AdaptiveSharpnessRecord(Record):
    """Rise of the loss within each radius: the highest found in each batch, and in the mean.

    worst: a lower bound, of each batch; average: mean over the batches of each draw of noise.
    loss: at w, of each batch, with normalised logits where these are used.
    """

    kind: ClassVar[str] = "adaptive_sharpness"
    radii: Annotated[Array, Axes("radius")]  # (r,)
    worst: Annotated[Array, Axes("radius", "batch")]  # (r, batches)
    average: Annotated[Array, Axes("radius", "draw")]  # (r, draws)
    average_radii: Annotated[Array, Axes("radius")]  # (r,) of the draws
    loss: Annotated[Array, Axes("batch")]  # (batches,)
    share: Annotated[Array, Axes("batch")]  # (batches,) weights of the mean
    norm: str
    logits: str

    @property
    def mean(self) -> Array:
        """Mean of the worst case over batches, (r,)."""
        return mean_and_stderr(self.worst, self.share)[0]

    @property
    def stderr(self) -> Array:
        """Its standard error over batches, (r,); NaN for one batch."""
        return mean_and_stderr(self.worst, self.share)[1]

    @property
    def average_stderr(self) -> Array:
        """Standard error of the average case over draws, (r,)."""
        stderr: Array = self.average.std(axis=1, ddof=1) / np.sqrt(self.average.shape[1])
        return stderr


@dataclass(frozen=True, eq=False, repr=False)
class PacBayesRecord(Record):
    """Largest noise σ whose mean rise stays within the deviation; flatness is 1/σ².

    Arrays are over the forms of the noise: N(0, σ²), and magnitude-aware, N(0, σ²w² + ε²).
    low, high: σ where mean ± t · standard error over the draws crosses. NaN: no σ that was tried
    costs as much; 0: all do. monotone: the rise grew with every doubling; else a larger σ may do as
    well.
    """

    kind: ClassVar[str] = "pac_bayes"
    sigma: Annotated[Array, Axes("form")]
    low: Annotated[Array, Axes("form")]
    high: Annotated[Array, Axes("form")]
    monotone: Annotated[Array, Axes("form")]
    forms: tuple[str, ...]
    quantity: str  # "error" or "loss"
    deviation: float
    clean: float  # the quantity at w
    passes: int  # over the data

    @property
    def flatness(self) -> Array:
        """1/σ² of each form: the larger, the sharper."""
        return 1.0 / self.sigma**2


@dataclass(frozen=True, eq=False, repr=False)
class BatchEigenvaluesRecord(Record):
    """Largest eigenvalue of each mini-batch, and that of all of them together.

    bounds, whole_bound: each true value lies within. batch_sharpness: gᵀHg/‖g‖² of each batch.
    median_low, median_high: 95 % interval of the median by order statistics.
    """

    kind: ClassVar[str] = "batch_eigenvalues"
    values: Annotated[Array, Axes("batch")]  # (batches,)
    bounds: Annotated[Array, Axes("batch")]  # (batches,)
    batch_sharpness: Annotated[Array, Axes("batch")]  # (batches,)
    whole: float
    whole_bound: float
    median_low: float
    median_high: float
    m: int
    curvature: str

    @property
    def mean(self) -> float:
        """Mean over the batches, at least `whole` for an equal partition."""
        return float(self.values.mean())

    @property
    def stderr(self) -> float:
        """Standard error of the mean over the batches."""
        return float(self.values.std(ddof=1) / np.sqrt(len(self.values)))

    @property
    def median(self) -> float:
        """Median over the batches."""
        return float(np.median(self.values))
