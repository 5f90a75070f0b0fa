"""Robustness to noise on the weights: loss and accuracy at w + σ s ⊙ ξ, ξ ~ N(0, I)."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import chain, islice
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from landscape.linalg import probes
from landscape.measures.context import Progress, point_of, same_network, shows_progress, signature
from landscape.measures.space import scales
from landscape.measures.space.planes import along
from landscape.objective.objective import Objective
from landscape.records import Array, NoiseRecord

TOGETHER = 2**25  # bytes of noise that are evaluated together


@dataclass(frozen=True)
class NoiseRobustness:
    """Loss and accuracy with Gaussian weight noise, L(w + σ s ⊙ ξ), for each level and draw.

    For small σ the mean loss at a minimum rises by σ²/2 · Σ_i s_i² ∂²L/∂w_i². The record holds loss
    and accuracy (levels, draws).

    sigmas: noise levels σ, rising, in units of `scale`.
    draws: samples of ξ, at least 2 so that an interval exists. They depend on seed and draw only:
    the same for all levels and for all models of one shape, so differences are paired.
    scale: unit s of the noise: "max", the largest |weight| of the layer, as noise in analogue
    hardware is stated; "rms" of the layer; "filter", rms of the filter; "elementwise", |w|;
    "absolute", 1.
    biases, normalisation: perturb these parameters, too. Weights of linear layers and convolutions
    always are.

    Intervals, noise tolerance and paired differences: `landscape.statistics.noise_curve`.
    Defaults are the project's own protocol. Raises ValueError for settings out of range, and for a
    model without weights to perturb.

    Example: L(w) = (9 w₁² + w₂²)/2 at its minimum: twice the noise costs four times the loss.

    >>> import torch
    >>> import landscape as ls
    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> model.weight.data = torch.tensor([[0.0, 0.0]])
    >>> batch = ls.Batch(torch.diag(torch.tensor([3.0, 1.0])), torch.zeros(2, 1))
    >>> mse = lambda model, batch: (model(batch.x) - batch.y).square().mean()
    >>> objective = ls.Objective(model, [batch], mse)
    >>> noise = ls.measures.NoiseRobustness(sigmas=(0.1, 0.2), draws=3, scale="absolute")(objective)
    >>> (noise.loss[1] / noise.loss[0]).round(4)
    array([4., 4., 4.])
    """

    sigmas: tuple[float, ...] = (0.0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1)
    draws: int = 10
    scale: str = "max"
    seed: int = 0
    biases: bool = False
    normalisation: bool = False

    over_ranks: ClassVar[bool] = True

    def __post_init__(self) -> None:
        scales.check_rising("sigmas", self.sigmas)
        if self.draws < 2:
            raise ValueError(f"`draws` must be at least 2, for an interval. Got {self.draws}.")
        scales.check(self.scale)

    @shows_progress
    def __call__(
        self,
        objective: Objective,
        *,
        other: Objective | None = None,
        progress: Progress | None = None,
    ) -> NoiseRecord:
        """Measure around the objective's point; `progress` counts draws.

        other: the same network on other data, such as the training set beside the test set, to be
        measured at the same noisy points. Raises ValueError for another network or batch-norm
        policy.
        """
        w = objective.w
        unit = scales.unit(objective, self.scale, self.biases, self.normalisation)
        asked = [objective] if other is None else [objective, same_network(objective, other)]
        clean = np.array([subject.value_and_accuracy(w) for subject in asked])  # (data, 2)
        found = np.empty((len(asked), 2, len(self.sigmas), self.draws))
        gaussians = probes.gaussians(w, self.draws, self.seed)
        together = max(1, TOGETHER // (w.numel() * w.element_size()))
        for first in range(0, self.draws, together):
            steps = [unit * xi for xi in islice(gaussians, together)]
            last = first + len(steps)
            for subject, at_w, values in zip(asked, clean, found[..., first:last], strict=True):
                values[:] = self._levels(subject, w, steps, at_w)
            if progress is not None:
                progress(last, self.draws)
        return NoiseRecord(
            sigma=np.array(self.sigmas),
            loss=found[0, 0],
            accuracy=found[0, 1],
            scale=self.scale,
            clean_loss=float(clean[0, 0]),
            clean_accuracy=float(clean[0, 1]),
            **({} if other is None else _beside(other, clean[1], found[1])),
            **signature(self, objective),
        )

    def _levels(
        self, subject: Objective, w: Tensor, steps: Sequence[Tensor], clean: Array
    ) -> Array:
        """Loss and accuracy at w + σ·step for every level and step, (2, levels, steps); at σ = 0
        the clean ones.
        """
        noisy = [sigma for sigma in self.sigmas if sigma > 0]
        points = chain.from_iterable(along(w, step, noisy) for step in steps)
        answers = subject.evaluate(points, expected=len(noisy) * self.draws)
        found = np.empty((2, len(self.sigmas), len(steps)))
        found[...] = clean[:, None, None]
        found[:, len(self.sigmas) - len(noisy) :] = np.reshape(
            answers, (len(steps), len(noisy), 2)
        ).T
        return found


def _beside(other: Objective, clean: Array, found: Array) -> dict[str, Any]:
    return {
        "other_loss": found[0],
        "other_accuracy": found[1],
        "other_clean_loss": float(clean[0]),
        "other_clean_accuracy": float(clean[1]),
        "other_point": asdict(point_of(other)),
    }
