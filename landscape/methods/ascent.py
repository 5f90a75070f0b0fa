"""Ascent of a method, and the interface of an inner method towards an outer one.

Five choices nest freely: the climb (sam, asam, aace, friendly-sam, sam-on), the shards that climb
on their own (msam), the chain of climbs (lookbehind, multistep-sam), the radius (fixed, or learned
by lets) and the penalty (fam). The first two are an `Ascent`; a chain takes one of them as `over`,
and so do the methods that mix the gradients at w and at the perturbed point (gsam, looksam, wsam);
lets and lookahead take anything that perturbs, fam anything that makes a step.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, cast

import torch
from torch import Tensor
from torch.autograd import forward_ad

from landscape.methods.walker.accumulation import whole_of
from landscape.methods.walker.walker import Walker
from landscape.network.batch import Batch
from landscape.utils import checks

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
    `climb`. One with a memory overrides `remember` as well.

    no_repeat: the reason why it climbs once a step only, with the whole batch; None: it may be
    asked for a climb as often as others like.
    """

    rho: Any = 0.05
    no_repeat: ClassVar[str | None] = None

    @property
    def ball(self) -> str:
        """The length of a perturbation e that `rho` is, in words."""
        return "‖e‖"

    @property
    def plain(self) -> bool:
        """Test whether `gradient` is that of the loss itself."""
        return True

    def step(self, walker: Walker, batch: Batch) -> None:
        """Make one step on one batch."""
        e = self.ascend(walker, batch)
        walker.descend(walker.grad(batch, at=walker.shifted(e)))

    def ascend(self, walker: Walker, shard: Batch) -> Tensor:
        """The perturbation e (n,) from w, by the step's own pass over a shard. Logs ‖e‖."""
        a = self.gradient(walker, shard)
        e = self.climb(walker, a, walker.w, start(self))
        self.remember(a)
        walker.log(climb_norm=e.norm())
        return e

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

    def remember(self, g: Tensor) -> None:
        """Take in the gradient g (n,) of a step's own pass, after its climb. Here: nothing."""


def length(g: Tensor) -> Tensor:
    """‖g‖, shape (), but at least the smallest one whose square g's type holds: 0/‖0‖ is 0."""
    return g.norm().clamp(min=torch.finfo(g.dtype).tiny ** 0.5)


def sam(g: Tensor, w: Tensor, rho: Radius, out: Tensor | None = None) -> Tensor:
    """Steepest ascent in the Euclidean ball: e = ρ g/‖g‖. One norm over all of (n,).

    out: memory for e, (n,); None takes new one.
    """
    norm = constant(length(g), rho)
    return torch.mul(constant(g, rho), rho, out=out).div_(norm)


def asam(g: Tensor, w: Tensor, rho: Radius, eta: float, unscaled: Iterable[slice]) -> Tensor:
    """Steepest ascent in the ball ‖e/T‖ ≤ ρ: e = ρ T²g/‖Tg‖, T = |w| + η elementwise.

    unscaled: the slices of w where T = 1.
    """
    t = w.abs() + eta
    for entries in unscaled:
        t[entries] = 1.0
    norm = constant(length(t * g), rho)
    return rho * constant(t**2, rho) * constant(g, rho) / norm


def constant(t: Tensor, rho: Radius) -> Tensor:
    """t itself; with a tangent of zeros where the radius has a tangent and t has none.

    Without one torch works out the shape of each product in Python, in ten times its time.
    """
    if not isinstance(rho, Tensor) or not _moves(rho) or _moves(t):
        return t
    return forward_ad.make_dual(t, torch.zeros_like(t))


def _moves(t: Tensor) -> bool:
    return forward_ad.unpack_dual(t).tangent is not None


def orthogonal(a: Tensor, b: Tensor) -> Tensor:
    """Part of a orthogonal to b, all (n,): a - (⟨a, b⟩/‖b‖²) b, over all coordinates at once."""
    u = b / length(b)
    return a - (a @ u) * u


def inside(over: Ascent | None) -> Ascent:
    """The climb of an outer method: that of `over`, SAM's where it is None."""
    return Ascent() if over is None else over


def mean(parts: Sequence[Batch], gradients: Iterable[Tensor]) -> Tensor:
    """Mean Σ_j (n_j/n) g_j over the shards of one batch, (n,)."""
    if len(parts) == 1:
        return next(iter(gradients))
    shares = [whole_of(shard).share for shard in parts]
    total, averaged = sum(shares), None
    for share, g in zip(shares, gradients, strict=True):  # they need not be in memory together
        weight = share / total
        averaged = weight * g if averaged is None else averaged.add_(g, alpha=weight)
    return cast(Tensor, averaged)


def two_gradients(over: Ascent, walker: Walker, shard: Batch, rho: Radius) -> tuple[Tensor, Tensor]:
    """∇L(w) and ∇L(w + e) of a shard, both (n,), where e is the climb of `over`.

    A climb by another loss takes one more pass, a look at w.
    """
    w = walker.w
    if over.plain:
        g = a = over.gradient(walker, shard)
    else:
        g, a = walker.grad(shard), over.gradient(walker, shard, at=w)
    e = over.climb(walker, a, w, rho)
    over.remember(a)
    return g, walker.grad(shard, at=walker.shifted(e))


def start(method: Any) -> Any:
    """The radius of a method: its own, or that of the one inside; where there is none, its
    `radius_alone`, or 0.05.
    """
    if method is None:
        return Ascent.rho
    if method.rho is not None:
        return method.rho
    if method.over is None:
        return getattr(method, "radius_alone", Ascent.rho)
    return start(method.over)


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


def check(over: Any, rho: float | None, once: bool = False) -> None:
    """Raise ValueError where an outer method cannot climb as `over` does, saying why.

    once: it asks for one climb a step, along the gradient of the step's own pass.
    """
    if rho is not None:
        checks.non_negative(rho=rho)
    if over is None:
        return
    if not isinstance(over, Ascent):
        _refuse(over, "`over` must climb once from w, as SAM, ASAM, AACE and MSAM do.", Ascent)
    if over.no_repeat is not None and not once:
        raise ValueError(
            "`over` must climb along any gradient, as often as it is asked, as SAM and ASAM do. "
            f"Got {type(over).__name__}: {over.no_repeat}."
        )


def check_perturbs(over: Any) -> None:
    """Raise ValueError where `over` is no method with a radius, saying why."""
    if not isinstance(over, Perturbs) or not hasattr(over, "rho"):
        _refuse(over, "`over` must be a method with a radius, as SAM or Lookbehind.", Perturbs)


def _refuse(over: Any, rule: str, kind: type[Perturbs]) -> None:
    why = getattr(over, "no_rule", f"it does not inherit from `ascent.{kind.__name__}`")
    raise ValueError(f"{rule} Got {type(over).__name__}: {why}.")
