"""Colour scale that all surfaces of a comparison share."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.colors import LogNorm, Normalize

from landscape.plots.drawing.prepare import shown
from landscape.records import Array, SurfaceRecord

DECADES = 6  # beyond this the few cells that exploded would take all the colours


@dataclass(frozen=True)
class Levels:
    """values: (k,) increasing contour levels; log: whether they are spaced so."""

    values: Array
    log: bool
    clipped: bool  # values above the last level exist

    @property
    def norm(self) -> Normalize:
        """Normalise values to colours."""
        low, high = float(self.values[0]), float(self.values[-1])
        return LogNorm(low, high) if self.log else Normalize(low, high)

    def name(self, value: float) -> str:
        """A level as a reader sees it; what is nothing beside the others is 0."""
        return rounded(0.0 if abs(value) < 1e-6 * np.ptp(self.values) and not self.log else value)

    def height(self, loss: Array) -> Array:
        """Height in a 3-D scene: log₁₀ of the loss, or the loss; NaN where it is not finite."""
        loss = np.where(np.isfinite(loss), loss, np.nan)
        return np.log10(loss) if self.log else loss


def rounded(loss: float) -> str:
    """Two significant digits, without an exponent where a reader needs none: "820", "0.02"."""
    return f"{float(f'{loss:.2g}'):g}"


def shared_levels(
    records: Sequence[SurfaceRecord], quantity: str = "loss", count: int = 15
) -> Levels:
    """Levels over all finite values: log-spaced for losses that are positive, else linear; of
    accuracies in %.

    Raises ValueError where no value is finite.
    """
    values = np.concatenate([shown(quantity, getattr(r, quantity)).ravel() for r in records])
    values = values[np.isfinite(values)]
    if values.size == 0:
        raise ValueError(f"`records` hold no finite {quantity}: there is no surface to draw.")
    low, high = float(values.min()), float(values.max())
    log = low > 0 and quantity == "loss"
    if log and high > low * 10.0**DECADES:
        high = max(float(np.quantile(values, 0.9)), low * 10.0)
    if high - low <= 1e-6 * abs(high):  # flat: colours need some width
        margin = 0.01 * max(abs(high), 1e-12)
        low, high = low - margin, high + margin
    levels = np.geomspace(low, high, count) if log else np.linspace(low, high, count)
    return Levels(levels, log, bool(values.max() > levels[-1] * (1 + 1e-9)))
