"""Records of what a model's outputs say: calibration and the Fisher-Rao norm."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from landscape.records.record import Array, Axes, Record


@dataclass(frozen=True, eq=False, repr=False)
class CalibrationRecord(Record):
    """Confidence of each prediction beside whether it was right, and what follows from them.

    ece, ece_low, ece_high: expected calibration error over bins of equal width, with the 95 %
    percentile bootstrap interval over examples; the estimate is biased upward. floor, floor_high:
    mean and 95 % quantile of what a perfectly calibrated model of these confidences would show.
    ece_mass: over bins of equal mass.
    """

    kind: ClassVar[str] = "calibration"
    confidence: Annotated[Array, Axes("example")]  # (N,) largest probability, in (0, 1]
    correct: Annotated[Array, Axes("example")]  # (N,) 1 where the prediction is right, else 0
    accuracy: float
    mean_confidence: float
    cross_entropy: float  # in nats
    brier: float
    ece: float
    ece_low: float
    ece_high: float
    ece_mass: float
    floor: float
    floor_high: float

    @property
    def reliability(self) -> tuple[Array, Array, Array]:
        """Mean confidence, accuracy and number of examples of each bin of equal width that is not
        empty, (M,) at most.
        """
        bins = int(self.settings["bins"])
        bin_of = bins_of_equal_width(self.confidence, bins)
        count, confidence, right = (
            np.bincount(bin_of, weights, minlength=bins)
            for weights in (None, self.confidence, self.correct)
        )
        held = count > 0
        return confidence[held] / count[held], right[held] / count[held], count[held]


@dataclass(frozen=True, eq=False, repr=False)
class FisherRaoRecord(Record):
    """Squared Fisher-Rao norm wᵀF w: with labels from the model, and from the data (empirical).

    stderr, empirical_stderr: standard errors over the examples; NaN for one example.
    """

    kind: ClassVar[str] = "fisher_rao"
    value: float
    stderr: float
    empirical: float
    empirical_stderr: float


def bins_of_equal_width(confidence: Array, bins: int) -> Array:
    """The bin (a, b] of each confidence in (0, 1], from 0, of `bins` between 0 and 1."""
    edges = np.linspace(0.0, 1.0, bins + 1)
    return np.clip(np.searchsorted(edges, confidence, "left") - 1, 0, bins - 1)


def bins_of_equal_mass(confidence: Array, bins: int) -> Array:
    """The bin of each confidence where all hold as many, one more in some; ties in data order."""
    place = np.empty(len(confidence), dtype=np.int64)
    place[np.argsort(confidence, kind="stable")] = np.arange(len(confidence))
    return place * bins // len(confidence)


def calibration_error(confidence: Array, correct: Array, bin_of: Array, bins: int) -> float:
    """Σ_b (n_b/N) |accuracy_b − mean confidence_b| over the bins that are not empty."""
    apart = np.bincount(bin_of, np.asarray(correct, float) - confidence, minlength=bins)
    return float(np.abs(apart).sum() / len(confidence))
