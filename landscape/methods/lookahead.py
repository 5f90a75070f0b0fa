"""Lookahead around another method, a control of Lookbehind-SAM.

Zhang, Lucas, Hinton, Ba, NeurIPS 2019 (arXiv 1907.08610).
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from landscape.methods import ascent
from landscape.methods.walker.walker import Walker
from landscape.network.batch import Batch
from landscape.utils import checks


@dataclass
class Lookahead(ascent.Perturbs):
    """Make k ordinary steps away from the slow weights φ, then go the fraction α of the way.

    f_0 = φ;  for i = 1..k:  f_i = a step of `over` from f_{i-1};  φ⁺ = φ + α (f_k - φ).

    Between two pull-backs the network stands at the fast weights f_i. Momentum goes through.

    k: steps from one pull-back to the next (2: as in Lookbehind, whose control this is).
    alpha: in [0, 1] (0.5: likewise).
    same_batch: all k steps on one batch, within one step of this method; otherwise k batches.
    over: whose steps they are, a method like SAM; None is the base optimizer alone.

    Keeps its state in itself: one instance per run.

    Cost: 1 pass a step, or those of `over`; k times as many with `same_batch`.

    Raises ValueError for k below 1, an alpha outside [0, 1], an `over` that cannot stand inside.

    Example: L(w) = ‖w‖²/2 from w = (0.6, 0.8), two steps to 0.81 w, then half the way back.

    >>> import torch
    >>> import landscape as ls
    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> model.weight.data = torch.tensor([[0.6, 0.8]])
    >>> base = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> mse = lambda model, batch: (model(batch.x) - batch.y).square().mean()
    >>> stepper = ls.optim.wrap(ls.methods.Lookahead(), model, base, mse)
    >>> loss = stepper.step((torch.eye(2), torch.zeros(2, 1)))
    >>> loss = stepper.step((torch.eye(2), torch.zeros(2, 1)))
    >>> model.weight.data
    tensor([[0.5430, 0.7240]])
    """

    k: int = 2
    alpha: float = 0.5
    same_batch: bool = False
    over: ascent.Perturbs | None = None
    needs: ClassVar[tuple[str, ...]] = ("move_to",)
    no_maximize: ClassVar[str | None] = None  # but that of a method inside
    no_rule: ClassVar[str] = "it pulls steps back and perturbs nothing of its own"

    taken: int = field(default=0, init=False, compare=False, repr=False)
    slow: Tensor | None = field(default=None, init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if isinstance(self.over, Lookahead):
            raise ValueError("`over` must not be Lookahead again. Choose another k and alpha.")
        if self.over is not None:
            ascent.check_perturbs(self.over)
        checks.typed(self)
        checks.whole(1, k=self.k)
        if not 0 <= self.alpha <= 1:
            raise ValueError(f"`alpha` must lie in [0, 1]. Got {self.alpha}.")

    @property
    def rho(self) -> Any:
        """The radius, which belongs to the method inside."""
        if self.over is None:
            raise AttributeError("Without a method inside there is no radius.")
        return self.over.rho

    @rho.setter
    def rho(self, rho: ascent.Radius) -> None:
        assert self.over is not None  # where it is, `rho` cannot be read either
        self.over.rho = rho

    def step(self, walker: Walker, batch: Batch) -> None:
        """Make one step on one batch."""
        self._step(walker, batch)
        loss = walker.step_loss
        for _ in range(self.k - 1 if self.same_batch else 0):
            self._step(walker, batch)
        walker.log(loss=loss)  # that of the first pass, at w

    def state_dict(self) -> dict[str, Any]:
        """State that the next step depends on: numbers and tensors."""
        return {"taken": self.taken, "slow": self.slow, **ascent.state_of(self.over)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict()`."""
        self.taken, self.slow = state["taken"], state["slow"]
        ascent.load_state_of(self.over, state)

    def begin_task(self) -> None:
        """Begin the slow weights anew where the network stands: other data follow."""
        self.taken, self.slow = 0, None

    def _step(self, walker: Walker, batch: Batch) -> None:
        slow = walker.w if self.slow is None else self.slow.to(walker.w)
        if self.over is None:
            walker.descend(walker.grad(batch))
        else:
            self.over.step(walker, batch)
        self.slow, self.taken = slow, self.taken + 1
        if self.taken == self.k:
            walker.move_to(torch.lerp(slow, walker.w, self.alpha))
            self.slow, self.taken = None, 0
