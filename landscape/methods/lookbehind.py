"""Lookbehind-SAM: Mordido, Malviya, Baratin, Chandar, ICML 2024 (arXiv 2307.16704)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from landscape.methods import ascent
from landscape.methods.walker.walker import Walker
from landscape.network.batch import Batch
from landscape.utils import checks

SCOPES = ("tensor", "global")


@dataclass
class Lookbehind(ascent.Perturbs):
    """Climb k times without coming back, descend from the start along each gradient, then go
    the fraction α of the way.

    z_0 = f_0 = φ;  for i = 1..k:  z_i = z_{i-1} + e(∇L(z_{i-1})),  f_i = BaseOpt(f_{i-1}, ∇L(z_i));
    φ⁺ = φ + α (f_k - φ).

    To first order in ρ with plain SGD this is SAM with radius (k+1)ρ/2 and learning rate αk·lr: at
    the defaults the learning rate of SAM.

    rho: length of each climb; None is that of `over`.
    k: climbs a step (2: the authors' example).
    alpha: in [0, 1], or "adaptive": (cos(f_1 - φ, f_k - φ) + 1)/2 (0.5: middle of the authors'
    0.2, 0.5, 0.8).
    scope: of the adaptive alpha, one per "tensor" (the authors' code) or one "global".
    reuse: climb along the gradient of the last descent, k + 1 passes instead of 2k; the same step
    where the model is deterministic.
    over: whose climb it is, a method like ASAM, AACE or MSAM; None is SAM at 0.05. Each shard of
    MSAM climbs in a chain of its own; a descent takes the mean of their gradients.

    Momentum is carried through the k descents and from step to step, and is not interpolated;
    weight decay acts at f_i.

    Cost: 2k passes a step, k + 1 with `reuse`.

    Raises ValueError for a negative radius, k below 1, an alpha outside [0, 1], an unknown scope,
    an `over` that does not climb, `reuse` over a method that climbs by another loss.

    Differs from the authors' code:
    - batch norm's running statistics move in the first climb only, at φ, not 2k times.
    - the slow weights are read at the start of each step, so loading weights is safe.

    Example: L(w) = ‖w‖²/2 from w = (0.6, 0.8), climbs to 1.5 w and 2 w: half of 0.1 · 3.5 w.

    >>> import torch
    >>> import landscape as ls
    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> model.weight.data = torch.tensor([[0.6, 0.8]])
    >>> base = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> mse = lambda model, batch: (model(batch.x) - batch.y).square().mean()
    >>> stepper = ls.optim.wrap(ls.methods.Lookbehind(rho=0.5), model, base, mse)
    >>> loss = stepper.step((torch.eye(2), torch.zeros(2, 1)))
    >>> model.weight.data
    tensor([[0.4950, 0.6600]])
    """

    rho: float | None = None
    k: int = 2
    alpha: float | str = 0.5
    scope: str = "tensor"
    reuse: bool = False
    over: ascent.Ascent | None = None
    needs: ClassVar[tuple[str, ...]] = ("move_to",)
    no_rule: ClassVar[str] = "it is a chain of climbs and descents"

    def __post_init__(self) -> None:
        ascent.check(self.over, self.rho)
        checks.typed(self)
        checks.whole(1, k=self.k)
        if self.alpha != "adaptive" and not (
            checks.is_number(self.alpha) and 0 <= self.alpha <= 1  # type: ignore[operator]
        ):
            raise ValueError(f'`alpha` must lie in [0, 1] or be "adaptive". Got {self.alpha!r}.')
        checks.one_of(SCOPES, scope=self.scope)
        if self.reuse and not ascent.inside(self.over).plain:
            raise ValueError(
                "`reuse` needs a climb along the gradient that the descent takes. "
                f"Got {type(self.over).__name__}, which climbs by another loss: use reuse=False."
            )

    def step(self, walker: Walker, batch: Batch) -> None:
        """Make one step on one batch."""
        over, rho = ascent.inside(self.over), ascent.start(self)
        parts = over.parts(batch)
        first = fast = slow = walker.w
        z = [slow for _ in parts]
        a = [over.gradient(walker, shard) for shard in parts]
        for i in range(1, self.k + 1):
            z = [z_j + over.climb(walker, a_j, z_j, rho) for z_j, a_j in zip(z, a, strict=True)]
            g = [walker.grad(shard, at=z_j) for shard, z_j in zip(parts, z, strict=True)]
            walker.descend(ascent.mean(parts, g))
            fast = walker.w
            first = fast if i == 1 else first
            if i < self.k:
                climbing = zip(parts, z, strict=True)
                a = g if self.reuse else [over.gradient(walker, *at) for at in climbing]
        alpha = self._alpha(first - slow, fast - slow, walker.layers.values())
        walker.log(alpha=alpha.mean())
        walker.move_to(torch.lerp(slow, fast, alpha))

    def _alpha(self, first: Tensor, last: Tensor, layers: Iterable[slice]) -> Tensor:
        """α for each coordinate, (n,)."""
        if isinstance(self.alpha, int | float):
            return torch.full_like(first, self.alpha)
        if self.scope == "global":
            return torch.full_like(first, 1.0) * agreement(first, last)
        return torch.cat([agreement(first[s], last[s]).expand_as(first[s]) for s in layers])


def agreement(a: Tensor, b: Tensor) -> Tensor:
    """(cos(a, b) + 1)/2, shape (), 1/2 where a or b is zero. Exactly 1 where a is b."""
    a, b = (t / t.abs().amax().clamp(min=torch.finfo(t.dtype).tiny) for t in (a, b))
    length = ((a @ a) * (b @ b)).sqrt()
    return torch.where(length > 0, (a @ b) / length, 0.0).clamp(-1.0, 1.0).add(1.0).div(2.0)
