"""SAM, sharpness-aware minimisation: Foret, Kleiner, Mobahi, Neyshabur, ICLR 2021, Algorithm 1.

arXiv 2010.01412.
"""

from dataclasses import dataclass

from landscape.batch import Batch
from landscape.methods import ascent, checks
from landscape.walker import Walker


@dataclass
class SAM:
    """Descend along the gradient at the worst point of a ball: min_w max_{‖e‖ ≤ ρ} L(w + e), to
    first order in e.

    rho: radius of the ball, in units of the weights (0.05: the usual value on CIFAR-10).

    Cost: 2 passes a step.

    Raises ValueError for a negative radius.

    Differs from the authors' code:
    - weight decay belongs to the base optimizer and does not bend e.
    """

    rho: float = 0.05

    def __post_init__(self) -> None:
        checks.non_negative(rho=self.rho)

    def step(self, walker: Walker, batch: Batch) -> None:
        """One step on one batch."""
        g = walker.grad(batch)
        e = ascent.sam(g, walker.w, self.rho)
        walker.descend(walker.grad(batch, at=walker.w + e))

    def rule(self, walker: Walker) -> ascent.Rule:
        """The ascent, for use inside another method."""
        return ascent.sam
