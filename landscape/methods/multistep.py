"""Multistep-SAM, the baseline of Lookbehind-SAM: several climbs, a single descent.

Mordido, Malviya, Baratin, Chandar, ICML 2024 (arXiv 2307.16704).
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from landscape.methods import ascent
from landscape.methods.walker.walker import Walker
from landscape.network.batch import Batch
from landscape.utils import checks


@dataclass
class MultistepSAM(ascent.Perturbs):
    """Climb k times without coming back, then descend once, from the start.

    z_0 = w;  for i = 1..k:  z_i = z_{i-1} + e(∇L(z_{i-1}));  w⁺ = BaseOpt(w, ∇L(z_k)).
    With `average`: w⁺ = BaseOpt(w, (1/k) Σ_i ∇L(z_i)); with plain SGD that is Lookbehind at
    alpha = 1/k.

    rho: length of each climb; None is that of `over`.
    k: climbs a step (2: as in Lookbehind).
    split: climbs of length ρ/k, so that all k together are as long as one of SAM.
    average: descend along the mean of the gradients at z_1 to z_k.
    over: whose climb it is, a method like ASAM, AACE or MSAM; None is SAM at 0.05.

    Cost: k + 1 passes a step; 2k with `average` over a method that climbs by another loss.

    Raises ValueError for a negative radius, k below 1, an `over` that does not climb.

    Differs from the authors' code: it was not published; whether they mean ρ or ρ/k is not known.

    Example: L(w) = ‖w‖²/2 from w = (0.6, 0.8), after two climbs the gradient is 2 w.

    >>> import torch
    >>> import landscape as ls
    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> model.weight.data = torch.tensor([[0.6, 0.8]])
    >>> base = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> mse = lambda model, batch: (model(batch.x) - batch.y).square().mean()
    >>> stepper = ls.optim.wrap(ls.methods.MultistepSAM(rho=0.5), model, base, mse)
    >>> loss = stepper.step((torch.eye(2), torch.zeros(2, 1)))
    >>> model.weight.data
    tensor([[0.4800, 0.6400]])
    """

    rho: float | None = None
    k: int = 2
    split: bool = False
    average: bool = False
    over: ascent.Ascent | None = None
    no_rule: ClassVar[str] = "it is a chain of climbs"

    def __post_init__(self) -> None:
        ascent.check(self.over, self.rho)
        checks.typed(self)
        checks.whole(1, k=self.k)

    def step(self, walker: Walker, batch: Batch) -> None:
        """Make one step on one batch."""
        parts = ascent.inside(self.over).parts(batch)
        walker.descend(ascent.mean(parts, (self._gradient(walker, shard) for shard in parts)))

    def _gradient(self, walker: Walker, shard: Batch) -> Tensor:
        """∇L(z_k), or the mean over i, of one shard: (n,)."""
        over, rho = ascent.inside(self.over), ascent.start(self)
        rho = rho / self.k if self.split else rho
        z, total = walker.w, torch.zeros(())
        a = g = over.gradient(walker, shard)
        for i in range(1, self.k + 1):
            z = z + over.climb(walker, a, z, rho)
            if self.average or i == self.k:
                g = walker.grad(shard, at=z)
                total = total + g
            if i < self.k:
                known = self.average and over.plain
                a = g if known else over.gradient(walker, shard, at=z)
        return total / self.k if self.average else g
