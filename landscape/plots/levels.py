"""One colour scale for all surfaces of a comparison."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.colors import LogNorm, Normalize

from landscape.records import Array, SurfaceRecord

DECADES = 6  # beyond this the few cells that exploded would take all the colours


@dataclass(frozen=True)
class Levels:
    """values: (k,) increasing contour levels; log: whether they are spaced so."""

    values: Array
    log: bool
    clipped: bool  # losses above the last level exist

    @property
    def norm(self) -> Normalize:
        """Of the colours."""
        low, high = float(self.values[0]), float(self.values[-1])
        return LogNorm(low, high) if self.log else Normalize(low, high)

    def height(self, loss: Array) -> Array:
        """What a 3-D scene shows: log₁₀ of the loss, or the loss; NaN where it is not finite."""
        loss = np.where(np.isfinite(loss), loss, np.nan)
        return np.log10(loss) if self.log else loss


def rounded(loss: float) -> str:
    """Two significant digits, without an exponent where a reader needs none: "820", "0.02"."""
    return f"{float(f'{loss:.2g}'):g}"


def shared_levels(records: Sequence[SurfaceRecord], count: int = 15) -> Levels:
    """Log-spaced levels over all finite losses; linear ones where a loss is not positive.

    Raises ValueError where no loss is finite.
    """
    losses = np.concatenate([np.ravel(record.loss) for record in records])
    losses = losses[np.isfinite(losses)]
    if losses.size == 0:
        raise ValueError("`records` hold no finite loss: there is no surface to draw.")
    low, high = float(losses.min()), float(losses.max())
    log = low > 0
    if log and high > low * 10.0**DECADES:
        high = max(float(np.quantile(losses, 0.9)), low * 10.0)
    if high - low <= 1e-6 * abs(high):  # flat: colours need some width
        margin = 0.01 * max(abs(high), 1e-12)
        low, high = low - margin, high + margin
    values = np.geomspace(low, high, count) if log else np.linspace(low, high, count)
    return Levels(values, log, bool(losses.max() > values[-1] * (1 + 1e-9)))
