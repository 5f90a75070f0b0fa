"""Robustness to noise on the weights: loss and accuracy at w + σ s ⊙ ξ, ξ ~ N(0, I)."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from torch import Tensor

from landscape.linalg import probes
from landscape.measures.context import Progress, point_of, same_network
from landscape.measures.space import scales
from landscape.objective.objective import Objective
from landscape.records import Array, NoiseRecord
from landscape.utils.environment import environment


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

    Intervals, the noise that is borne and paired differences: `landscape.statistics.noise_curve`.
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
        scales.check_rising("sigmas", self.sigmas)
        if self.draws < 2:
            raise ValueError(f"`draws` must be at least 2, for an interval. Got {self.draws}.")
        scales.check(self.scale)

    def __call__(
        self,
        objective: Objective,
        *,
        other: Objective | None = None,
        progress: Progress | None = None,
    ) -> NoiseRecord:
        """Ask it of the objective's point; `progress` counts draws.

        other: the same network on other data, as the training set beside the test set: it is
        asked at the same noisy points. Raises ValueError where it is another network or policy.
        """
        w = objective.w
        unit = scales.unit(objective, self.scale, self.biases, self.normalisation)
        asked = [objective] if other is None else [objective, same_network(objective, other)]
        clean = np.array([subject.value_and_accuracy(w) for subject in asked])  # (data, 2)
        found = np.empty((len(asked), 2, len(self.sigmas), self.draws))
        for draw, xi in enumerate(probes.gaussians(w, self.draws, self.seed)):
            for subject, at_w, values in zip(asked, clean, found[..., draw], strict=True):
                values[:] = self._levels(subject, w, unit * xi, at_w)
            if progress is not None:
                progress(draw + 1, self.draws)
        return NoiseRecord(
            sigma=np.array(self.sigmas),
            loss=found[0, 0],
            accuracy=found[0, 1],
            scale=self.scale,
            clean_loss=float(clean[0, 0]),
            clean_accuracy=float(clean[0, 1]),
            **({} if other is None else _beside(other, clean[1], found[1])),
            point=point_of(objective),
            settings=asdict(self),
            provenance=environment(),
        )

    def _levels(self, subject: Objective, w: Tensor, step: Tensor, clean: Array) -> Array:
        """Loss and accuracy at w + σ·step for every level, (2, s); at σ = 0 the clean ones."""
        found = np.empty((len(self.sigmas), 2))
        noisy = np.array(self.sigmas) > 0
        found[~noisy] = clean
        if noisy.any():
            found[noisy] = subject.evaluate(w + s * step for s in self.sigmas if s > 0)
        return found.T


def _beside(other: Objective, clean: Array, found: Array) -> dict[str, Any]:
    return {
        "other_loss": found[0],
        "other_accuracy": found[1],
        "other_clean_loss": float(clean[0]),
        "other_clean_accuracy": float(clean[1]),
        "other_point": asdict(point_of(other)),
    }
