"""WSAM, weighted sharpness: Yue, Jiang, Ye, Gao, Liu, Zhang, KDD 2023 (arXiv 2305.15817)."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from landscape.methods import ascent
from landscape.methods.walker.walker import Walker
from landscape.network.batch import Batch
from landscape.utils import checks


@dataclass
class WSAM(ascent.Perturbs):
    """Minimise the loss plus a times its sharpness: L(w) + a [max_{‖e‖ ≤ ρ} L(w + e) - L(w)].

    a = γ/(1 - γ),  g = ∇L(w),  e = ρ g/‖g‖,  G = ∇L(w + e);
    decoupled:  w⁺ = BaseOpt(w, g) - η a (G - g), η the learning rate of each weight's group;
    coupled:  w⁺ = BaseOpt(w, (1 - a) g + a G).

    rho: radius; None is that of `over` (0.05 without: the authors' class).
    gamma: γ in [0, 1) (0.9: the authors' class, a = 9); 0 is the base optimizer alone.
    decouple: True keeps the sharpness out of momentum, moments and decay (True: the authors' class;
    the paper's method, as their README says).
    over: whose climb it is, a method like ASAM, AACE or MSAM; None is SAM at 0.05.

    Both are one with plain SGD. With momentum μ the decoupled gradient moves at η/(1 - μ) and the
    sharpness at η, so γ = 1/2 is SAM where coupled only; with Adam η a (G - g) is unscaled.
    `max_grad_norm` clips what the base optimizer gets: decoupled, g alone.

    Cost: 2 passes a step, 3 over a method that climbs by another loss.

    Raises ValueError for a negative radius, a gamma outside [0, 1), an `over` that does not climb.

    Differs from the authors' code:
    - its `max_norm` clips g and G each by itself.
    - batch norm of every kind keeps its statistics from the pass at w, not BatchNorm2d alone.

    Example: L(w) = ‖w‖²/2 from w = (0.6, 0.8), where G - g = e: w - 0.1 (w + 9 ρ w).

    >>> import torch
    >>> import landscape as ls
    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> model.weight.data = torch.tensor([[0.6, 0.8]])
    >>> base = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> mse = lambda model, batch: (model(batch.x) - batch.y).square().mean()
    >>> stepper = ls.optim.wrap(ls.methods.WSAM(rho=0.1), model, base, mse)
    >>> loss = stepper.step((torch.eye(2), torch.zeros(2, 1)))
    >>> model.weight.data
    tensor([[0.4860, 0.6480]])
    """

    rho: float | None = None
    gamma: float = 0.9
    decouple: bool = True
    over: ascent.Ascent | None = None
    no_rule: ClassVar[str] = "its descent mixes two gradients"

    def __post_init__(self) -> None:
        ascent.check(self.over, self.rho, once=True)
        checks.typed(self)
        if not 0 <= self.gamma < 1:
            raise ValueError(f"`gamma` must lie in [0, 1). Got {self.gamma}.")

    @property
    def needs(self) -> tuple[str, ...]:
        """Ask the walker for a move beside the base step, where decoupled."""
        return ("move_to",) if self.decouple else ()

    def step(self, walker: Walker, batch: Batch) -> None:
        """Make one step on one batch."""
        over, rho = ascent.inside(self.over), ascent.start(self)
        parts, a = over.parts(batch), self.gamma / (1 - self.gamma)
        pairs = [ascent.two_gradients(over, walker, shard, rho) for shard in parts]
        g, G = (ascent.mean(parts, gradients) for gradients in zip(*pairs, strict=True))
        if self.decouple:
            rates = learning_rates(walker)
            walker.descend(g)
            walker.move_to(walker.w - rates * (a * (G - g)))
        else:
            walker.descend((1 - a) * g + a * G)

    def state_dict(self) -> dict[str, Any]:
        """State that the next step depends on: that of `over`."""
        return {"over": ascent.state_of(self.over)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict()`."""
        ascent.load_state_of(self.over, state["over"])


def learning_rates(walker: Walker) -> float | Tensor:
    """Learning rate of each coordinate's group, (n,); a number where all are the same."""
    groups = walker.optimizer.param_groups
    rate_of = {id(p): float(group["lr"]) for group in groups for p in group["params"]}
    rates = [rate_of[id(p)] for p in walker.weights.parameters]
    if len(set(rates)) == 1:
        return rates[0]
    each = zip(rates, walker.weights.parameters, strict=True)
    return torch.cat([p.new_full((p.numel(),), rate) for rate, p in each])
