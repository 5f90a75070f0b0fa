"""The highest loss in a ball around the weights, by projected gradient ascent: a lower bound."""

from dataclasses import asdict, dataclass

import numpy as np
from torch import Tensor

from landscape.linalg import probes
from landscape.measures.context import Progress, point_of
from landscape.measures.space import ball_ascent, scales
from landscape.objective.objective import Objective
from landscape.records import WorstCaseRecord
from landscape.utils.environment import environment


@dataclass(frozen=True)
class WorstCase:
    """max L(w + e) over the ball ‖e/s‖ ≤ ρ, as far as it was found; s is the unit of `scale`.

    The record's loss is a lower bound of that maximum, over all starts and steps and all smaller
    balls. At a stationary point it tends to L + ρ²/2 · λ_max of S H S for small radii, S = diag(s);
    noise of level σ in the same unit, of length σ√n, finds far less.

    radii: rising; scale, biases, normalisation: as for noise; "absolute" with both switches is the
    ball of SAM. "filter" by default: it does not reward small weights.
    steps: of ascent from each start; restarts: further starts, random points of the sphere, the
    same for all models of one shape.

    Defaults are the project's own protocol, no paper's.
    Cost: about (1 + restarts) · steps passes and as many looks for every radius.
    Raises ValueError for settings out of range, and where the model has nothing to perturb.
    """

    radii: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0)
    steps: int = 10
    restarts: int = 1
    scale: str = "filter"
    seed: int = 0
    biases: bool = False
    normalisation: bool = False

    def __post_init__(self) -> None:
        ball_ascent.check(self.radii, self.steps, self.restarts)
        scales.check(self.scale)

    def __call__(
        self, objective: Objective, *, progress: Progress | None = None
    ) -> WorstCaseRecord:
        """Ask it of the objective's point; `progress` counts radii."""
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
            point=point_of(objective),
            settings=asdict(self),
            provenance=environment(),
        )

    def _starts(self, s: Tensor) -> list[Tensor]:
        moved = (s > 0).to(s)
        return [
            ball_ascent.unit(xi * moved) for xi in probes.gaussians(s, self.restarts, self.seed)
        ]
