"""Robustness to noise on the weights: loss and accuracy at w + σ s ⊙ ξ, ξ ~ N(0, I)."""

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor

from landscape.environment import environment
from landscape.linalg import probes
from landscape.measures import filters
from landscape.measures.context import Progress, point_of
from landscape.objective import Objective
from landscape.records import NoiseRecord

# Name -> the length s (n,) that one unit of noise has at each weight.
SCALES: dict[str, Callable[[Objective, Tensor], Tensor]] = {
    "max": lambda objective, w: filters.largest(filters.by_tensor(objective), w),
    "rms": lambda objective, w: filters.rms(filters.by_tensor(objective), w),
    "filter": lambda objective, w: filters.rms(filters.by_filter(objective), w),
    "elementwise": lambda _, w: w.abs(),
    "absolute": lambda _, w: torch.ones_like(w),
}


@dataclass(frozen=True)
class NoiseRobustness:
    """Loss and accuracy with Gaussian noise on the weights, for each level and each draw.

    For small σ the mean loss rises by σ²/2 · Σ_i s_i² ∂²L/∂w_i².

    sigmas: levels, rising, in units of `scale`: "max", the largest |weight| of the layer, as noise
    in analogue hardware is stated; "rms" of the layer; "filter", rms of the filter; "elementwise",
    |w| itself; "absolute", one.
    draws: of ξ, at least 2 so that an interval exists; the same for all levels, and for all models
    of one shape (ξ depends on seed and draw alone), so differences are paired.
    biases, normalisation: whether these parameters are noisy too; weights of linear layers and
    convolutions always are.

    Defaults are the project's own protocol, no paper's.
    Raises ValueError for settings out of range, and where the model has nothing to perturb.
    """

    sigmas: tuple[float, ...] = (0.0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1)
    draws: int = 10
    scale: str = "max"
    seed: int = 0
    biases: bool = False
    normalisation: bool = False

    def __post_init__(self) -> None:
        if not self.sigmas or not all(sigma >= 0 for sigma in self.sigmas):
            raise ValueError(f"`sigmas` must be non-negative levels. Got {self.sigmas}.")
        if list(self.sigmas) != sorted(set(self.sigmas)):
            raise ValueError(f"`sigmas` must rise from level to level. Got {self.sigmas}.")
        if self.draws < 2:
            raise ValueError(f"`draws` must be at least 2, for an interval. Got {self.draws}.")
        if self.scale not in SCALES:
            raise ValueError(f"`scale` must be one of {', '.join(SCALES)}. Got {self.scale!r}.")

    def __call__(self, objective: Objective, *, progress: Progress | None = None) -> NoiseRecord:
        """Ask it of the objective's point; `progress` counts draws."""
        w = objective.w
        unit = SCALES[self.scale](objective, w)
        unit = unit * filters.mask(objective, self.biases, self.normalisation)
        clean = objective.value_and_accuracy()
        found = np.empty((2, len(self.sigmas), self.draws))
        for draw, xi in enumerate(probes.gaussians(w, self.draws, self.seed)):
            step = unit * xi
            for i, sigma in enumerate(self.sigmas):
                at_w = sigma == 0
                found[:, i, draw] = (
                    clean if at_w else objective.value_and_accuracy(w + sigma * step)
                )
            if progress is not None:
                progress(draw + 1, self.draws)
        return NoiseRecord(
            sigma=np.array(self.sigmas),
            loss=found[0],
            accuracy=found[1],
            scale=self.scale,
            clean_loss=clean[0],
            clean_accuracy=clean[1],
            point=point_of(objective),
            settings=asdict(self),
            provenance=environment(),
        )


def sigma_at_drop(record: NoiseRecord, points: float = 5.0) -> float:
    """The level at which the mean accuracy has fallen by `points` hundredths below the clean one.

    Linear between levels; NaN where it never falls that far, or where there is no accuracy.
    """
    if not points > 0:
        raise ValueError(f"`points` must be positive. Got {points}.")
    sigma = np.concatenate([[0.0], record.sigma])
    accuracy = np.concatenate([[record.clean_accuracy], record.accuracy.mean(1)])
    threshold = record.clean_accuracy - points / 100
    below = np.flatnonzero(accuracy <= threshold)
    if len(below) == 0:
        return float("nan")
    i = below[0]
    share = (accuracy[i - 1] - threshold) / (accuracy[i - 1] - accuracy[i])
    return float(sigma[i - 1] + share * (sigma[i] - sigma[i - 1]))
