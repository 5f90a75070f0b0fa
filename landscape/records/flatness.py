"""Records of flatness at a point."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from landscape.records.record import Array, Axes, Record


@dataclass(frozen=True, eq=False, repr=False)
class RelativeFlatnessRecord(Record):
    """Relative flatness of one layer: kappa (`value`) and kappa_hat (`simplified`).

    stderr, simplified_stderr: their standard errors; 0 where they are exact. estimator: how they
    were computed. hvps: number of products, with the Hessian of the layer's weight or with the one
    at its output; None in records older than this field.
    """

    kind: ClassVar[str] = "relative_flatness"
    value: float
    simplified: float
    stderr: float
    layer: str
    estimator: str
    simplified_stderr: float = float("nan")
    hvps: int | None = None


@dataclass(frozen=True, eq=False, repr=False)
class SharpnessRecord(Record):
    """Rise of each batch's loss within each radius: a lower bound of the maximum.

    sharpness: the largest rise of all starts; one_step: the rise after the one step of SAM or
    ASAM in training.
    """

    kind: ClassVar[str] = "sharpness"
    radii: Annotated[Array, Axes("radius")]  # (r,)
    sharpness: Annotated[Array, Axes("radius", "batch")]  # (r, batches)
    one_step: Annotated[Array, Axes("radius", "batch")]  # (r, batches)
    loss: Annotated[Array, Axes("batch")]  # (batches,) at w
    share: Annotated[Array, Axes("batch")]  # (batches,) weights of the mean, numbers of examples
    rule: str

    @property
    def mean(self) -> Array:
        """Mean sharpness over batches, (r,)."""
        return mean_and_stderr(self.sharpness, self.share)[0]

    @property
    def stderr(self) -> Array:
        """Its standard error over batches, (r,); NaN for one batch."""
        return mean_and_stderr(self.sharpness, self.share)[1]


def mean_and_stderr(values: Array, share: Array) -> tuple[Array, Array]:
    """Σ_b s_b v_b and √(B/(B − 1) · Σ_b s_b² (v_b − mean)²) over the last axis, s = share/Σ share.

    For equal shares the standard deviation over √B. One batch has no error: NaN.
    """
    s, count = share / share.sum(), len(share)
    mean = values @ s
    if count < 2:
        return mean, np.full_like(mean, np.nan)
    spread = ((values - mean[..., None]) * s) ** 2
    return mean, np.sqrt(count / (count - 1) * spread.sum(axis=-1))
