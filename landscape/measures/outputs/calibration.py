"""Calibration: whether predictions of confidence p are right in a share p of the cases.

Expected calibration error: Naeini, Cooper & Hauskrecht, AAAI 2015; Guo, Pleiss, Sun & Weinberger,
ICML 2017 (arXiv 1706.04599), whose 15 bins of equal width are the default.
"""

from dataclasses import dataclass

import numpy as np
import torch

from landscape.measures.context import Progress, shows_progress, signature
from landscape.measures.outputs.predictions import predictions
from landscape.objective.objective import Objective
from landscape.records import Array, CalibrationRecord
from landscape.records.outputs import (
    bins_of_equal_mass,
    bins_of_equal_width,
    calibration_error,
)
from landscape.utils import checks


@dataclass(frozen=True)
class Calibration:
    """Expected calibration error Σ_b (n_b/N) |accuracy_b − confidence_b| of the largest softmax.

    Beside it: accuracy, mean confidence, cross-entropy and Brier score Σ_k (p_k − e_k)². The error
    is biased upward, the more the fewer examples: the record holds the floor, the mean that a
    perfectly calibrated model of the same confidences would show, and a bootstrap interval.

    bins: number of bins (a, b] of equal width over (0, 1]; as many of equal mass for `ece_mass`.
    resamples: draws of the interval and of the floor.
    seed: of these draws.

    Cost: one forward pass. Raises ValueError for settings out of range, where targets are no
    classes, and where the model answers with probabilities in place of logits.

    Example: two predictions of confidence 0.8, one of them wrong.

    >>> import torch
    >>> import landscape as ls
    >>> model = torch.nn.Linear(1, 2, bias=False)
    >>> model.weight.data = torch.tensor([[4.0], [1.0]]).log()
    >>> batch = ls.Batch(torch.ones(2, 1), torch.tensor([0, 1]))
    >>> loss = lambda model, batch: torch.nn.functional.cross_entropy(model(batch.x), batch.y)
    >>> round(ls.measures.Calibration()(ls.Objective(model, [batch], loss)).ece, 4)
    0.3
    """

    bins: int = 15
    resamples: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        checks.typed(self)
        checks.at_least(1, bins=self.bins)
        checks.at_least(100, resamples=self.resamples)
        checks.non_negative(seed=self.seed)

    @shows_progress
    def __call__(
        self, objective: Objective, *, progress: Progress | None = None
    ) -> CalibrationRecord:
        """Measure at the objective's point; `progress` counts passes."""
        logits, labels = predictions(objective)
        p = logits.softmax(1)
        confidence, named = (t.numpy() for t in p.max(1))
        y = labels.numpy()
        correct = (named == y).astype(float)
        bin_of = bins_of_equal_width(confidence, self.bins)
        low, high, floor, floor_high = self._draws(confidence, correct, bin_of)
        if progress is not None:
            progress(1, 1)
        truth = torch.nn.functional.one_hot(labels, p.shape[1])
        return CalibrationRecord(
            confidence=confidence,
            correct=correct,
            accuracy=float(correct.mean()),
            mean_confidence=float(confidence.mean()),
            cross_entropy=float(torch.nn.functional.cross_entropy(logits, labels)),
            brier=float((p - truth).square().sum(1).mean()),
            ece=calibration_error(confidence, correct, bin_of, self.bins),
            ece_low=low,
            ece_high=high,
            ece_mass=calibration_error(
                confidence, correct, bins_of_equal_mass(confidence, self.bins), self.bins
            ),
            floor=floor,
            floor_high=floor_high,
            **signature(self, objective),
        )

    def _draws(self, confidence: Array, correct: Array, bin_of: Array) -> tuple[float, ...]:
        """Ends of the bootstrap interval; mean and 95 % quantile of the floor."""
        rng, n = np.random.default_rng(self.seed), len(confidence)
        errors, floors = np.empty(self.resamples), np.empty(self.resamples)
        for i in range(self.resamples):
            rows = rng.integers(n, size=n)
            errors[i] = calibration_error(confidence[rows], correct[rows], bin_of[rows], self.bins)
            right = rng.random(n) < confidence
            floors[i] = calibration_error(confidence, right, bin_of, self.bins)
        low, high = np.quantile(errors, (0.025, 0.975))
        return float(low), float(high), float(floors.mean()), float(np.quantile(floors, 0.95))
