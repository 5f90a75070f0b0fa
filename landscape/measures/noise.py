"""Robustness to noise on the weights: loss and accuracy at w + σ s ⊙ ξ, ξ ~ N(0, I)."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from landscape.linalg import probes
from landscape.measures.context import (
    Progress,
    point_of,
    same_network,
    shows_progress,
    signature,
    unless_default,
)
from landscape.measures.rows.shared_rows import Keep
from landscape.measures.space import arithmetic, scales
from landscape.measures.space.evaluate_grid import walk
from landscape.measures.space.planes import Writer, along
from landscape.objective.objective import Objective
from landscape.records import Array, NoiseRecord
from landscape.utils import checks


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
    precision: of the points: "ieee", "tf32" on CUDA, "bf16" by autocast, or "auto", which is ieee.
    Refused where some points are off by more than precision_tolerance, a share of the loss.

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
    precision: str = unless_default("auto")
    precision_tolerance: float = unless_default(arithmetic.TOLERANCE)

    over_ranks: ClassVar[bool] = True
    splits_into: ClassVar[str] = "draws"

    def __post_init__(self) -> None:
        checks.typed(self)
        scales.check_rising("sigmas", self.sigmas)
        if self.draws < 2:
            raise ValueError(f"`draws` must be at least 2, for an interval. Got {self.draws}.")
        scales.check(self.scale)
        arithmetic.check(self)

    @shows_progress
    def __call__(
        self,
        objective: Objective,
        *,
        other: Objective | None = None,
        keep: Keep = None,
        progress: Progress | None = None,
    ) -> NoiseRecord:
        """Measure around the objective's point; `progress` counts draws.

        other: the same network on other data, such as the training set beside the test set, to be
        measured at the same noisy points. Raises ValueError for another network or batch-norm
        policy.
        keep: a file for finished draws until all are done, as that of `Surface`.
        """
        w = objective.w
        unit = scales.unit(objective, self.scale, self.biases, self.normalisation)
        asked = [objective] if other is None else [objective, same_network(objective, other)]
        clean = np.array([subject.value_and_accuracy(w) for subject in asked])  # (data, 2)
        noisy = [sigma for sigma in self.sigmas if sigma > 0]
        gaussian = probes.numbered_gaussians(w, self.seed)

        def points(draw: int) -> Iterator[Writer]:
            return along(w, unit * gaussian(draw), noisy)

        shape = self.draws, len(noisy)
        used = arithmetic.computed(self, objective, other, points, shape)
        answers = walk(
            used.objective, points, shape, question={"settings": self},
            other=used.other, keep=keep, progress=_by_draws(progress, len(noisy)),
        )  # fmt: skip
        found = np.empty((len(asked), 2, len(self.sigmas), self.draws))
        found[...] = clean[:, :, None, None]
        measured = np.reshape([*answers.values()], (len(asked), 2, self.draws, len(noisy)))
        found[:, :, len(self.sigmas) - len(noisy) :] = measured.swapaxes(2, 3)
        return NoiseRecord(
            sigma=np.array(self.sigmas),
            loss=found[0, 0],
            accuracy=found[0, 1],
            scale=self.scale,
            clean_loss=float(clean[0, 0]),
            clean_accuracy=float(clean[0, 1]),
            **({} if other is None else _beside(other, clean[1], found[1])),
            **used.describe(),
            **signature(self, objective),
        )


def _by_draws(progress: Progress | None, levels: int) -> Progress | None:
    """Count draws, of a walk that counts points."""
    if progress is None or not levels:
        return progress
    return lambda done, total: progress(done // levels, total // levels)


def _beside(other: Objective, clean: Array, found: Array) -> dict[str, Any]:
    return {
        "other_loss": found[0],
        "other_accuracy": found[1],
        "other_clean_loss": float(clean[0]),
        "other_clean_accuracy": float(clean[1]),
        "other_point": asdict(point_of(other)),
    }
