"""GSAM, surrogate gap minimisation: Zhuang et al., ICLR 2022 (arXiv 2203.08065)."""

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from landscape.methods import ascent
from landscape.methods.walker.walker import Walker
from landscape.network.batch import Batch
from landscape.utils import checks


@dataclass
class GSAM(ascent.Perturbs):
    """Descend on the loss at the perturbed point, and on its gap to the loss at w by the part of
    the gradient at w that leaves the perturbed loss alone.

    e = ρ_t g/‖g‖,  G = ∇L(w + e),  g_⊥ = g - (⟨g, G⟩/‖G‖²) G,  w⁺ = BaseOpt(w, G - α g_⊥), with
    ρ_t = ρ_min + (ρ - ρ_min)(lr_t - lr_min)/(lr_max - lr_min) where `rho_min` is given.

    rho: radius, the largest of the schedule; None is that of `over`.
    alpha: α (0.4: the authors' torch code for CIFAR-10; their JAX code has 0.6).
    rho_min: radius at the least learning rate; None keeps ρ. In a warm-up from below `lr_min` ρ_t
    is below `rho_min`, as in the authors' code.
    lr_max, lr_min: learning rates that the schedule lies between; a maximum of None is the rate
    that the optimizer was made with (lr_min 0: where a cosine ends). ρ_t is `rho` where both are
    equal. Where groups differ the first one's rate counts.
    minimize_fp: False descends along g + α (G - (⟨G, g⟩/‖g‖²) g), on the loss at w.
    over: whose climb it is, a method like ASAM, AACE or MSAM; None is SAM at 0.05. Each shard of
    MSAM takes its own g and G apart. Over a climb by another loss g is that of the loss.

    Logs rho_t where it is scheduled.

    Cost: 2 passes a step, 3 over a method that climbs by another loss.

    Raises ValueError for a negative setting, a schedule whose ends are not in order or whose
    `lr_max` is not known, an `over` that does not climb.

    Differs from the authors' code:
    - their adaptive forms, two different ones, are `over=ASAM(eta=0)` (torch) and not here (JAX).

    Example: L(w) = (w₁² + 4 w₂²)/2 from w = (1, 1): SAM's step without a part of g along G.

    >>> import torch
    >>> import landscape as ls
    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> model.weight.data = torch.tensor([[1.0, 1.0]])
    >>> base = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> mse = lambda model, batch: (model(batch.x) - batch.y).square().mean()
    >>> stepper = ls.optim.wrap(ls.methods.GSAM(rho=0.1), model, base, mse)
    >>> loss = stepper.step((torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.zeros(2, 1)))
    >>> model.weight.data
    tensor([[0.9001, 0.5606]])
    """

    rho: float | None = None
    alpha: float = 0.4
    rho_min: float | None = None
    lr_max: float | None = None
    lr_min: float = 0.0
    minimize_fp: bool = True
    over: ascent.Ascent | None = None
    no_rule: ClassVar[str] = "its descent mixes two gradients"

    def __post_init__(self) -> None:
        ascent.check(self.over, self.rho, once=True)
        checks.typed(self)
        checks.non_negative(alpha=self.alpha, lr_min=self.lr_min)
        if self.lr_max is not None:
            checks.non_negative(lr_max=self.lr_max)
        if self.lr_max is not None and self.lr_max < self.lr_min:
            raise ValueError(f"`lr_max` must be at least `lr_min`. Got {self.lr_max}.")
        if self.rho_min is not None:
            checks.non_negative(rho_min=self.rho_min)
            if self.rho is not None or self.over is not None:  # else `over` may still be to come
                self._check_order(ascent.start(self))

    def step(self, walker: Walker, batch: Batch) -> None:
        """Make one step on one batch."""
        over, rho = ascent.inside(self.over), self._radius(walker)
        parts = over.parts(batch)
        pairs = (ascent.two_gradients(over, walker, shard, rho) for shard in parts)
        walker.descend(ascent.mean(parts, (self._mixture(g, G) for g, G in pairs)))

    def state_dict(self) -> dict[str, Any]:
        """State that the next step depends on: that of `over`."""
        return {"over": ascent.state_of(self.over)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict()`."""
        ascent.load_state_of(self.over, state["over"])

    def _mixture(self, g: Tensor, G: Tensor) -> Tensor:
        """Gradient of the descent, (n,), from those at w and at w + e."""
        if self.minimize_fp:
            return G - self.alpha * ascent.orthogonal(g, G)
        return g + self.alpha * ascent.orthogonal(G, g)

    def _check_order(self, rho: float) -> None:
        if self.rho_min is not None and self.rho_min > rho:
            raise ValueError(f"`rho_min` must be at most the radius, {rho}. Got {self.rho_min}.")

    def _radius(self, walker: Walker) -> ascent.Radius:
        """ρ_t, by the learning rate of the first group."""
        rho: ascent.Radius = ascent.start(self)
        if self.rho_min is None:
            return rho
        if not isinstance(rho, Tensor):  # a learned one may become smaller
            self._check_order(rho)
        group = walker.optimizer.param_groups[0]
        lr_max = self.lr_max
        if lr_max is None:
            lr_max = group.get("initial_lr", walker.optimizer.defaults.get("lr"))
        if lr_max is None:
            raise ValueError(
                "`rho_min` needs the largest learning rate, which this optimizer does not tell. "
                "Set `lr_max`."
            )
        width = float(lr_max) - self.lr_min
        share = (float(group["lr"]) - self.lr_min) / width if width else 1.0
        rho_t = self.rho_min + (rho - self.rho_min) * share
        walker.log(rho_t=rho_t)
        return rho_t
