"""SAM, sharpness-aware minimisation: Foret, Kleiner, Mobahi, Neyshabur, ICLR 2021, Algorithm 1.

arXiv 2010.01412.
"""

from dataclasses import dataclass

from torch import Tensor

from landscape.methods import ascent
from landscape.methods.walker.walker import Walker
from landscape.utils import checks


@dataclass
class SAM(ascent.Ascent):
    """Descend along the gradient at the worst point of a ball: min_w max_{‖e‖ ≤ ρ} L(w + e), to
    first order in e.

    g = ∇L(w),  e = ρ g/‖g‖,  w⁺ = BaseOpt(w, ∇L(w + e)).

    rho: radius of the ball, in units of the weights (0.05: the usual value on CIFAR-10).
    normalize: False climbs by e = ρ g, which shrinks with the gradient and grows with the loss's
    scale.

    m-sharpness, a climb for each m examples, is `msam` with batch size/m shards.

    Cost: 2 passes a step.

    Raises ValueError for a negative radius.

    Differs from the authors' code:
    - weight decay belongs to the base optimizer and does not bend e.

    Example: L(w) = ‖w‖²/2 from w = (0.6, 0.8), where e = ρ w: w − 0.1 · 1.5 w.

    >>> import torch
    >>> import landscape as ls
    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> model.weight.data = torch.tensor([[0.6, 0.8]])
    >>> base = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> mse = lambda model, batch: (model(batch.x) - batch.y).square().mean()
    >>> stepper = ls.optim.wrap(ls.methods.SAM(rho=0.5), model, base, mse)
    >>> loss = stepper.step((torch.eye(2), torch.zeros(2, 1)))
    >>> model.weight.data
    tensor([[0.5100, 0.6800]])
    """

    rho: float = 0.05
    normalize: bool = True

    def __post_init__(self) -> None:
        checks.typed(self)
        checks.non_negative(rho=self.rho)

    @property
    def ball(self) -> str:
        """Length ‖e‖, or ‖e‖/‖g‖ without normalisation."""
        return "‖e‖" if self.normalize else "‖e‖/‖g‖"

    def climb(self, walker: Walker, g: Tensor, w: Tensor, rho: ascent.Radius) -> Tensor:
        """Perturbation e = ρ g/‖g‖, or ρ g, (n,)."""
        return ascent.sam(g, w, rho, walker.vector()) if self.normalize else rho * g
