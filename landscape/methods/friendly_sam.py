"""F-SAM, Friendly-SAM: Li, Zhou, He, Cheng, Huang, CVPR 2024 (arXiv 2403.12350)."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from landscape.methods import ascent
from landscape.methods.walker.walker import Walker
from landscape.utils import checks


@dataclass
class FriendlySAM(ascent.Ascent):
    """SAM that climbs along the noise of the batch: its gradient without the full gradient, which
    an average over past batches estimates.

    d_t = g_t - σ m_{t-1},  e = ρ d_t/‖d_t‖,  w⁺ = BaseOpt(w, ∇L(w + e)),
    m_t = λ m_{t-1} + (1 - λ) g_t,  of the gradients at w. The first step is SAM's, and m_1 = g_1.

    rho: radius (0.05: the authors' class; their scripts have 0.1 and 0.2).
    sigma: share of the average that is taken away (1: the authors' code); 0 is SAM.
    lam: λ in [0, 1] (0.9: the authors' class; their scripts have 0.95 and 0.6).
    adaptive: e = ρ w² d/‖w d‖, elementwise (False: the authors' code).

    Without noise d points down once gradients shrink: nothing says that e climbs.
    Keeps its state in itself: one instance per run.

    Cost: 2 passes a step.

    Raises ValueError for a negative radius or sigma, a lam outside [0, 1].

    Differs from the authors' code:
    - the average is part of the state, so that a run goes on as it was.
    - ‖d‖ is kept from zero by less than 1e-12.

    Example: L(w) = ‖w‖²/2 from w = (0.6, 0.8): up by SAM, then down, as the gradient has shrunk.

    >>> import torch
    >>> import landscape as ls
    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> model.weight.data = torch.tensor([[0.6, 0.8]])
    >>> base = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> mse = lambda model, batch: (model(batch.x) - batch.y).square().mean()
    >>> stepper = ls.optim.wrap(ls.methods.FriendlySAM(rho=0.5), model, base, mse)
    >>> loss = stepper.step((torch.eye(2), torch.zeros(2, 1)))
    >>> loss = stepper.step((torch.eye(2), torch.zeros(2, 1)))
    >>> model.weight.data
    tensor([[0.4890, 0.6520]])
    """

    rho: float = 0.05
    sigma: float = 1.0
    lam: float = 0.9
    adaptive: bool = False
    no_repeat: ClassVar[str] = "its average takes in one gradient a step, that of the whole batch"
    no_per_rank: ClassVar[str] = "friendly-sam would keep another average on every rank."

    m: Tensor | None = field(default=None, init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        checks.typed(self)
        checks.non_negative(rho=self.rho, sigma=self.sigma)
        if not 0 <= self.lam <= 1:
            raise ValueError(f"`lam` must lie in [0, 1]. Got {self.lam}.")

    @property
    def ball(self) -> str:
        """Length ‖e‖, or ‖e/T‖ with T = |w| where it is adaptive."""
        return "‖e/T‖" if self.adaptive else "‖e‖"

    def climb(self, walker: Walker, g: Tensor, w: Tensor, rho: ascent.Radius) -> Tensor:
        """Perturbation e along g - σ m, (n,); reads the average and leaves it."""
        d = g if self.m is None else g - self.sigma * self.m.to(g)
        return ascent.asam(d, w, rho, 0.0, ()) if self.adaptive else ascent.sam(d, w, rho)

    def remember(self, g: Tensor) -> None:
        """Take a step's own gradient g (n,) into the average."""
        self.m = g if self.m is None else torch.lerp(g, self.m.to(g), self.lam)

    def state_dict(self) -> dict[str, Any]:
        """State that the next step depends on: the average (n,), None before the first step."""
        return {"m": self.m}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict()`."""
        self.m = state["m"]
