"""Worst-case loss in a ball around the weights, by projected gradient ascent: a lower bound."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor

from landscape.linalg import probes
from landscape.measures.context import Progress, shows_progress, signature
from landscape.measures.space import ball_ascent, ball_norms, scales
from landscape.objective.objective import Objective
from landscape.records import WorstCaseRecord
from landscape.utils import checks


@dataclass(frozen=True)
class WorstCase:
    """Worst-case loss max L(w + e) over the ball ‖e/s‖ ≤ ρ, where s is the unit of `scale`.

    The record's loss (radii,) is a lower bound of the maximum: the highest loss of all starts and
    steps within the radius. At a stationary point it tends to L + ρ²/2 · λ_max(S H S) for small
    radii, S = diag(s); noise of level σ in the same unit has length σ√n and finds far less.

    radii: radii ρ, rising, in units of `scale`.
    steps: ascent steps from each start.
    restarts: further starts, random points of the sphere, the same for all models of one shape.
    scale, biases, normalisation: as for `NoiseRobustness`; "absolute" with both switched on is the
    ball of SAM. The default, "filter", does not reward small weights.
    seed: seed of the random starts.

    Defaults are the project's own protocol.
    Cost: about (1 + restarts) · steps gradients and as many loss evaluations for every radius.
    Raises ValueError for settings out of range, and for a model without weights to perturb.

    Example: L(w) = (9 w₁² + w₂²)/2 at w = (1, 0): within distance 1 it is highest at (2, 0).

    >>> import torch
    >>> import landscape as ls
    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> model.weight.data = torch.tensor([[1.0, 0.0]])
    >>> batch = ls.Batch(torch.diag(torch.tensor([3.0, 1.0])), torch.zeros(2, 1))
    >>> mse = lambda model, batch: (model(batch.x) - batch.y).square().mean()
    >>> objective = ls.Objective(model, [batch], mse)
    >>> worst = ls.measures.WorstCase(radii=(1.0,), scale="absolute")(objective)
    >>> worst.loss.round(4)
    array([18.])
    """

    radii: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0)
    steps: int = 10
    restarts: int = 1
    scale: str = "filter"
    seed: int = 0
    biases: bool = False
    normalisation: bool = False

    over_ranks: ClassVar[bool] = True

    def __post_init__(self) -> None:
        checks.typed(self)
        ball_ascent.check(self.radii, self.steps, self.restarts)
        scales.check(self.scale)

    @shows_progress
    def __call__(
        self, objective: Objective, *, progress: Progress | None = None
    ) -> WorstCaseRecord:
        """Search around the objective's point; `progress` counts radii."""
        w = objective.w
        s = scales.unit(objective, self.scale, self.biases, self.normalisation)
        hill = ball_ascent.Hill(
            height=lambda u: objective.value(w + s * u),
            slope=lambda u: s * objective.grad(w + s * u),
        )
        clean = objective.value_and_accuracy(w)
        centre = ball_ascent.Place(objective.value(w), w.new_zeros(len(w)))
        found, accuracy = [], []
        for reached in ball_ascent.walk(hill, centre, self.radii, self.steps, self._starts(s)):
            found.append(reached)
            accuracy.append(objective.accuracy(w + s * reached.best.u))
            if progress is not None:
                progress(len(found), len(self.radii))
        return WorstCaseRecord(
            radius=np.array(self.radii),
            loss=np.array([reached.best.height for reached in found]),
            accuracy=np.array(accuracy),
            reached=np.array([reached.heights for reached in found]),
            scale=self.scale,
            clean_loss=clean[0],
            clean_accuracy=clean[1],
            **signature(self, objective),
        )

    def _starts(self, s: Tensor) -> list[Tensor]:
        moved = (s > 0).to(s)
        return [ball_norms.unit(xi * moved) for xi in probes.gaussians(s, self.restarts, self.seed)]
