"""SAM-ON, SAM on the normalisation layers only: Mueller, Vlaar, Rolnick, Hein, NeurIPS 2023.

arXiv 2306.04226.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from landscape.methods import ascent
from landscape.methods.walker.walker import Walker
from landscape.network.batch import Batch
from landscape.network.weights import Weights
from landscape.utils import checks


@dataclass
class SAMON(ascent.Ascent):
    """SAM that perturbs the affine parameters of normalisation layers alone, about 0.1 % of all;
    all parameters descend.

    e = ρ M g/‖M g‖, M the 0/1 mask of those parameters,  w⁺ = BaseOpt(w, ∇L(w + e)).
    Over ASAM: e = ρ T² M g/‖T M g‖. The whole radius is spent inside the mask.

    rho: radius; None is that of `over`, and 0.5 without (the authors' class). SAM's values do not
    carry over.
    no_norm: perturbs all other parameters instead.
    over: whose climb it is, SAM, ASAM or AACE; None is SAM.

    A normalisation layer is one by its type, torch's or one whose class name ends in Norm.

    Cost: 2 passes a step.

    Raises ValueError for a negative radius, an `over` that does not climb or climbs by shards, a
    model without a trainable parameter to perturb.

    Differs from the authors' code:
    - it goes by parameters' names with "norm" or "bn" in them, and so misses torchvision's
      `downsample.1`, a batch norm, and takes a module called `subnet`.
    - batch norm's statistics move in the first pass only; theirs in both.
    - layerwise scaling and steps by signs are not offered.

    Example: L(w) = ‖w‖²/2 of a layer norm's weight and a further one: the first alone is perturbed.

    >>> import torch
    >>> import landscape as ls
    >>> model = torch.nn.Sequential(torch.nn.LayerNorm(1, bias=False), torch.nn.Linear(1, 1, False))
    >>> _ = torch.nn.utils.vector_to_parameters(torch.tensor([0.6, 0.8]), model.parameters())
    >>> base = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> half = lambda model, batch: sum(p.square().sum() for p in model.parameters()) / 2
    >>> stepper = ls.optim.wrap(ls.methods.SAMON(rho=0.5), model, base, half)
    >>> loss = stepper.step((torch.zeros(1, 1), torch.zeros(1, 1)))
    >>> torch.nn.utils.parameters_to_vector(model.parameters()).detach()
    tensor([0.4900, 0.7200])
    """

    rho: float | None = None
    no_norm: bool = False
    over: ascent.Ascent | None = None
    radius_alone: ClassVar[float] = 0.5

    def __post_init__(self) -> None:
        ascent.check(self.over, self.rho)
        checks.typed(self)
        if isinstance(self.over, SAMON):
            raise ValueError("`over` must not be SAM-ON again: one mask has one climb.")
        if type(ascent.inside(self.over)).parts is not ascent.Ascent.parts:
            raise ValueError(
                "`over` must climb with the whole batch. "
                f"Got {type(self.over).__name__}: its shards would be ignored. Write msam+sam-on."
            )

    @property
    def ball(self) -> str:
        """Length that `rho` is for the method inside."""
        return ascent.inside(self.over).ball

    @property
    def plain(self) -> bool:
        """Delegate to the method inside."""
        return ascent.inside(self.over).plain

    def gradient(self, walker: Walker, shard: Batch, at: Tensor | None = None) -> Tensor:
        """Delegate to the method inside."""
        return ascent.inside(self.over).gradient(walker, shard, at)

    def check_model(self, model: nn.Module) -> None:
        """Raise ValueError for a model without a trainable parameter to perturb."""
        perturbed(Weights(model), self.no_norm)

    def climb(self, walker: Walker, g: Tensor, w: Tensor, rho: ascent.Radius) -> Tensor:
        """Perturbation of the method inside along M g, (n,)."""
        masked = mask(walker.weights, self.no_norm) * g
        return ascent.inside(self.over).climb(walker, masked, w, rho)


def perturbed(weights: Weights, no_norm: bool) -> list[bool]:
    """Tell of each parameter whether it is perturbed. Raises ValueError where none is."""
    chosen = [normalising != no_norm for normalising in weights.normalising]
    if not any(chosen):
        place = "outside normalisation layers" if no_norm else "in a normalisation layer"
        raise ValueError(f"SAM-ON needs a trainable parameter {place}. Found none: use sam.")
    return chosen


def mask(weights: Weights, no_norm: bool) -> Tensor:
    """M (n,): 1 in the parameters that are perturbed, else 0."""
    each = zip(perturbed(weights, no_norm), weights.parameters, strict=True)
    return torch.cat([p.new_full((p.numel(),), float(on)) for on, p in each])
