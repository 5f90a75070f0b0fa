"""Sharpness at a radius: the rise of a batch's loss in a ball around w, a lower bound.

m-sharpness: Foret, Kleiner, Mobahi, Neyshabur, ICLR 2021 (arXiv 2010.01412), section 4.1; the
adaptive ball: Kwon, Kim, Park, Choi, ICML 2021 (arXiv 2102.11600).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from landscape.linalg import probes
from landscape.measures.context import Progress, refuse_reestimated, shows_progress, signature
from landscape.measures.space import ball_ascent, ball_norms
from landscape.measures.space.regrouping import regrouped
from landscape.network.batch import Batch
from landscape.objective.derivative import derivative, total
from landscape.objective.objective import Objective
from landscape.objective.reduction import can_be_regrouped
from landscape.records import SharpnessRecord
from landscape.utils import checks

RULES = ("sam", "asam")


@dataclass(frozen=True)
class Sharpness:
    """m-sharpness S_ρ: mean over batches B of max L_B(w + e) − L_B(w) over ‖e/T‖ ≤ ρ.

    A lower bound: the largest rise of all starts and steps within the radius. The first step,
    e = ρ T²g/‖Tg‖, is the one that SAM and ASAM take in training; the record holds its rise, too.
    Sharpness is (radii, batches), in the unit of the loss.

    radii: radii ρ, rising, in units of T; by default 0.05 times 1/2, 1, 2, 4, 8. Radii for "asam"
    are about ten times larger.
    m: largest number of examples in a batch. The objective's batches are cut to it, or joined first
    where all are smaller. Smaller batches are sharper: compare at one m only. A loss that is no
    mean over examples keeps the batches it is given, whatever m.
    rule: "sam", T = 1; "asam", T = |w| + eta in tensors called weight, else 1, as in training.
    steps: ascent steps from each start.
    restarts: further starts, random points of the sphere, the same for every batch and every model
    of one shape. One step without restarts is the sharpness that SAM sees: 0 at a stationary point,
    whatever its curvature.
    eta: added to |w| by "asam".
    seed: seed of the random starts.

    Defaults are the project's own protocol; eta is that of ASAM's class.
    Cost: one gradient and one loss evaluation per radius for one step without restarts; else about
    (1 + restarts) · steps of each.
    Raises ValueError for settings out of range.

    Example: L(w) = (9 w₁² + w₂²)/2 at w = (1, 0): the largest rise is L(2, 0) − L(1, 0).

    >>> import torch
    >>> import landscape as ls
    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> model.weight.data = torch.tensor([[1.0, 0.0]])
    >>> batch = ls.Batch(torch.diag(torch.tensor([3.0, 1.0])), torch.zeros(2, 1))
    >>> mse = lambda model, batch: (model(batch.x) - batch.y).square().mean()
    >>> objective = ls.Objective(model, [batch], mse)
    >>> ls.measures.Sharpness(radii=(1.0,))(objective).mean.round(4)
    array([13.5])
    """

    radii: tuple[float, ...] = (0.025, 0.05, 0.1, 0.2, 0.4)
    m: int = 100
    rule: str = "sam"
    steps: int = 10
    restarts: int = 1
    eta: float = 0.01
    seed: int = 0

    over_ranks: ClassVar[bool] = True

    def __post_init__(self) -> None:
        checks.typed(self)
        ball_ascent.check(self.radii, self.steps, self.restarts)
        checks.at_least(1, m=self.m)
        checks.one_of(RULES, rule=self.rule)
        checks.non_negative(eta=self.eta)

    @shows_progress
    def __call__(
        self, objective: Objective, *, progress: Progress | None = None
    ) -> SharpnessRecord:
        """Search around the objective's point; `progress` counts batches."""
        refuse_reestimated(objective, "Sharpness")
        ranks, w, batches = objective.ranks, objective.w, list(objective.risk.given)
        if ranks.all(objective.retry_on_oom(lambda: can_be_regrouped(objective.risk))):
            batches = regrouped(batches, self.m, objective.risk.counts, ranks)
        objective, whole = objective.alone(), objective  # each batch is one rank's
        t = adaptive(objective, self.eta) if self.rule == "asam" else torch.ones_like(w)
        starts = [ball_norms.unit(xi) for xi in probes.gaussians(w, self.restarts, self.seed)]
        loss = np.empty(len(batches))
        rise = np.empty((2, len(self.radii), len(batches)))
        for b, batch in enumerate(batches):
            hill = around(objective, batch, t)
            centre = hill.at(torch.zeros_like(w))
            loss[b] = centre.height
            walk = ball_ascent.walk(hill, centre, self.radii, self.steps, starts)
            for i, reached in enumerate(walk):
                rise[:, i, b] = reached.best.height, reached.first
            if progress is not None:
                progress(b + 1, len(batches))
        shares = np.array([batch.share for batch in batches])
        answers = zip(*ranks.gather((loss, rise, shares)), strict=True)
        loss, rise, shares = (np.concatenate(of_ranks, -1) for of_ranks in answers)
        return SharpnessRecord(
            radii=np.array(self.radii),
            sharpness=rise[0] - loss,
            one_step=rise[1] - loss,
            loss=loss,
            share=shares,
            rule=self.rule,
            **signature(self, whole),
        )


def adaptive(objective: Objective, eta: float) -> Tensor:
    """T = |w| + η in tensors whose own name says weight, 1 in the others, (n,)."""
    t = objective.w.abs() + eta
    for name, part in objective.layers.items():
        if "weight" not in name.rpartition(".")[2]:
            t[part] = 1.0
    return t


def around(objective: Objective, batch: Batch, t: Tensor) -> ball_ascent.Hill:
    """L_B(w + T u) of one batch and its gradient by u, normalising as the objective does."""
    w, risk = objective.w, objective.risk

    def losses() -> Iterator[Tensor]:
        for piece in risk.pieces(batch):
            yield piece.size / batch.size * risk.batch_loss(piece)

    def height(u: Tensor) -> float:
        def ask() -> float:
            with risk.opened(w + t * u):
                return total(loss.detach() for loss in losses()).item()

        return objective.retry_on_oom(ask)

    def slope(u: Tensor) -> Tensor:
        def ask() -> Tensor:
            at = (w + t * u).requires_grad_()
            with risk.opened(at):
                return t * total(derivative(loss, at, None) for loss in losses())

        return objective.retry_on_oom(ask)

    return ball_ascent.Hill(height, slope)
