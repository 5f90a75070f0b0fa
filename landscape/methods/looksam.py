"""LookSAM: Liu, Mai, Chen, Hsieh, You, CVPR 2022 (arXiv 2203.02714)."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from landscape.methods import ascent
from landscape.methods.walker.walker import Walker
from landscape.network.batch import Batch
from landscape.utils import checks

NOTHING = 10  # in units of rounding, of ‖G‖: a shorter g_v is rounding


@dataclass
class LookSAM(ascent.Perturbs):
    """Climb every k-th step only; between, use again the part of the gradient at the perturbed
    point that was orthogonal to the one at w, which changes slowly.

    t mod k = 0, t from 0:  G = ∇L(w + e),  g_v = G - (⟨G, g⟩/‖g‖²) g,  w⁺ = BaseOpt(w, G);
    otherwise:  w⁺ = BaseOpt(w, g + α (‖g‖/‖g_v‖) g_v), with the last g_v.

    rho: radius; None is that of `over`, and 0.1 without (a public port; the paper's is not known).
    k: steps from one climb to the next, counted by the method itself (5: a public port; another
    has 10); 1 is SAM.
    alpha: α (0.7: likewise).
    over: whose climb it is, a method like ASAM, AACE or MSAM; None is SAM.

    The vector that is added is α‖g‖ long however small g_v was. Where g and G are parallel to
    rounding there is none: such a step is the base optimizer's. Nor has a tensor whose gradient is
    zero throughout: what a step does not reach stays, as in a plain loop.
    Keeps its state in itself: one instance per run.

    Cost: 1 + 1/k passes a step on average: 2 where it climbs, else 1; 1 more at a climb by another
    loss.

    Raises ValueError for a negative setting, k below 1, an `over` that does not climb.

    Differs from the authors' code: it was not published. Public ports decompose each tensor by
    itself, where one of a single element never has a g_v.

    Example: L(w) = (w₁² + 4 w₂²)/2 from w = (1, 1): a step of SAM, then one along g and g_v.

    >>> import torch
    >>> import landscape as ls
    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> model.weight.data = torch.tensor([[1.0, 1.0]])
    >>> base = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> mse = lambda model, batch: (model(batch.x) - batch.y).square().mean()
    >>> stepper = ls.optim.wrap(ls.methods.LookSAM(k=2), model, base, mse)
    >>> for _ in range(2):
    ...     loss = stepper.step((torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.zeros(2, 1)))
    >>> model.weight.data
    tensor([[0.9720, 0.2957]])
    """

    rho: float | None = None
    k: int = 5
    alpha: float = 0.7
    over: ascent.Ascent | None = None
    radius_alone: ClassVar[float] = 0.1
    no_rule: ClassVar[str] = "most of its steps do not climb"
    no_learned_radius: ClassVar[str] = "one step in k alone depends on the radius"
    no_per_rank: ClassVar[str] = "looksam would keep another direction on every rank."

    t: int = field(default=0, init=False, compare=False, repr=False)
    g_v: Tensor | None = field(default=None, init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        ascent.check(self.over, self.rho, once=True)
        checks.typed(self)
        checks.whole(1, k=self.k)
        checks.non_negative(alpha=self.alpha)

    @property
    def cycle(self) -> int:
        """Steps after which its passes repeat."""
        return self.k

    def step(self, walker: Walker, batch: Batch) -> None:
        """Make one step on one batch."""
        over = ascent.inside(self.over)
        parts = over.parts(batch)
        if self.t % self.k == 0:
            rho = ascent.start(self)
            pairs = [ascent.two_gradients(over, walker, shard, rho) for shard in parts]
            self.g_v = ascent.mean(parts, (leftover(G, g) for g, G in pairs))
            walker.descend(ascent.mean(parts, (G for _, G in pairs)))
        else:
            g = ascent.mean(parts, (walker.grad(shard) for shard in parts))
            over.remember(g)
            walker.descend(g + self._reused(g, walker.layers.values()))
        self.t += 1

    def state_dict(self) -> dict[str, Any]:
        """State that the next step depends on: numbers and tensors."""
        return {"t": self.t, "g_v": self.g_v, **ascent.state_of(self.over)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict()`."""
        self.t, self.g_v = state["t"], state["g_v"]
        ascent.load_state_of(self.over, state)

    def _reused(self, g: Tensor, layers: Iterable[slice]) -> Tensor:
        """α (‖g‖/‖g_v‖) g_v, (n,): zero without a g_v, and in tensors that have no gradient now."""
        assert self.g_v is not None  # the first step has set it
        has_gradient = torch.cat([g[s].any().expand_as(g[s]) for s in layers])
        g_v = torch.where(has_gradient, self.g_v.to(g), 0.0)
        return (self.alpha * g.norm()) * (g_v / ascent.length(g_v))


def leftover(G: Tensor, g: Tensor) -> Tensor:
    """Part of G orthogonal to g, (n,): zero where it is no more than rounding."""
    g_v = ascent.orthogonal(G, g)
    return torch.where(g_v.norm() > NOTHING * torch.finfo(G.dtype).eps * G.norm(), g_v, 0.0)
