"""Ascent of a method, and the interface of an inner method towards an outer one.

Five choices nest freely: the climb (sam, asam, aace), the shards that climb on their own (msam),
the chain of climbs (lookbehind, multistep-sam), the radius (fixed, or learned by lets) and the
penalty (fam). The first two are an `Ascent`; a chain takes one of them as `over`; lets and
lookahead take anything that perturbs, fam anything that makes a step.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, cast

import torch
from torch import Tensor

from landscape.methods import checks
from landscape.methods.walker.walker import Walker
from landscape.network.batch import Batch

Radius = float | Tensor


class Perturbs:
    """A method that takes gradients away from w before it descends.

    rho: radius, its own to set; None is that of the method inside, `over`.
    no_rule: the reason that an outer method gives where it refuses this one, of all but an Ascent.
    """

    rho: Any
    no_maximize: ClassVar[str | None] = "its climb is to a larger loss, which would be a better one"

    def step(self, walker: Walker, batch: Batch) -> None:
        """Make one step on one batch."""
        raise NotImplementedError


class Ascent(Perturbs):
    """A method that climbs from w and descends along the gradient at the perturbed point.

    Three choices, here SAM's; a paper overrides the one that it changes: `parts`, `gradient`,
    `climb`.
    """

    rho: Any = 0.05

    @property
    def plain(self) -> bool:
        """Test whether `gradient` is that of the loss itself."""
        return True

    def step(self, walker: Walker, batch: Batch) -> None:
        """Make one step on one batch."""
        e = self.ascend(walker, batch)
        walker.descend(walker.grad(batch, at=walker.w + e))

    def ascend(self, walker: Walker, shard: Batch) -> Tensor:
        """The perturbation e (n,) from w, by the step's own pass over a shard."""
        return self.climb(walker, self.gradient(walker, shard), walker.w, start(self))

    def parts(self, batch: Batch) -> list[Batch]:
        """The shards of the batch, each of which climbs by itself."""
        return [batch]

    def gradient(self, walker: Walker, shard: Batch, at: Tensor | None = None) -> Tensor:
        """Gradient of the ascent, (n,): at w in the step's own pass, elsewhere in an extra one."""
        with walker.leading():
            return walker.grad(shard, at)

    def climb(self, walker: Walker, g: Tensor, w: Tensor, rho: Radius) -> Tensor:
        """Perturbation e from the gradient g at w, all (n,)."""
        return sam(g, w, rho)


def length(g: Tensor) -> Tensor:
    """‖g‖, shape (), but at least the smallest one whose square g's type holds: 0/‖0‖ is 0."""
    return g.norm().clamp(min=torch.finfo(g.dtype).tiny ** 0.5)


def sam(g: Tensor, w: Tensor, rho: Radius) -> Tensor:
    """Steepest ascent in the Euclidean ball: e = ρ g/‖g‖. One norm over all of (n,)."""
    return (rho * g).div_(length(g))


def asam(g: Tensor, w: Tensor, rho: Radius, eta: float, unscaled: Iterable[slice]) -> Tensor:
    """Steepest ascent in the ball ‖e/T‖ ≤ ρ: e = ρ T²g/‖Tg‖, T = |w| + η elementwise.

    unscaled: the slices of w where T = 1.
    """
    t = w.abs() + eta
    for entries in unscaled:
        t[entries] = 1.0
    return rho * t**2 * g / length(t * g)


def inside(over: Ascent | None) -> Ascent:
    """The climb of an outer method: that of `over`, SAM's where it is None."""
    return Ascent() if over is None else over


def mean(parts: Sequence[Batch], gradients: Iterable[Tensor]) -> Tensor:
    """Mean Σ_j (n_j/n) g_j over the shards of one batch, (n,)."""
    if len(parts) == 1:
        return next(iter(gradients))
    total, averaged = sum(shard.share for shard in parts), None
    for shard, g in zip(parts, gradients, strict=True):  # they need not be in memory together
        weight = shard.share / total
        averaged = weight * g if averaged is None else averaged.add_(g, alpha=weight)
    return cast(Tensor, averaged)


def start(method: Any) -> Any:
    """The radius of a method: its own, or that of the one inside; 0.05 where there is none."""
    if method is None:
        return Ascent.rho
    return start(method.over) if method.rho is None else method.rho


@contextmanager
def radius(method: Any, rho: Radius) -> Iterator[None]:
    """While open, the method has this radius."""
    kept, method.rho = method.rho, rho
    try:
        yield
    finally:
        method.rho = kept


def state_of(over: Any) -> dict[str, Any]:
    """State of the inner method, as {"over": ...}; empty if it has none."""
    return {"over": over.state_dict()} if hasattr(over, "state_dict") else {}


def load_state_of(over: Any, state: dict[str, Any]) -> None:
    """Load the inner method's state from that of the outer one, as `state_of` put it there."""
    if "over" in state:
        over.load_state_dict(state["over"])


def check(over: Any, rho: float | None) -> None:
    """Raise ValueError where an outer method cannot climb as `over` does, saying why."""
    if rho is not None:
        checks.non_negative(rho=rho)
    if over is not None and not isinstance(over, Ascent):
        _refuse(over, "`over` must climb once from w, as SAM, ASAM, AACE and MSAM do.", Ascent)


def check_perturbs(over: Any) -> None:
    """Raise ValueError where `over` is no method with a radius, saying why."""
    if not isinstance(over, Perturbs) or not hasattr(over, "rho"):
        _refuse(over, "`over` must be a method with a radius, as SAM or Lookbehind.", Perturbs)


def _refuse(over: Any, rule: str, kind: type[Perturbs]) -> None:
    why = getattr(over, "no_rule", f"it does not inherit from `ascent.{kind.__name__}`")
    raise ValueError(f"{rule} Got {type(over).__name__}: {why}.")
