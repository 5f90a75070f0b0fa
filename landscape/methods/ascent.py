"""Ascent rules: from a gradient g at w to the perturbation e of length rho that raises the loss.

A rule is a function of tensors, (g, w, rho) -> e, all of shape (n,) but rho. Methods that have one
offer it as `rule(walker)`; that is all an outer method (msam, lookbehind, lets) asks of an inner
one.
"""

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from torch import Tensor

from landscape.methods import checks
from landscape.walker import Walker

Radius = float | Tensor
Rule = Callable[[Tensor, Tensor, Radius], Tensor]

TINY = 1e-12  # keeps a zero gradient from becoming NaN; google-research/sam has the same


class Ascends(Protocol):
    """A method that can stand inside another one: it has a radius and an ascent rule."""

    rho: float

    def rule(self, walker: Walker) -> Rule:
        """(g, w, rho) -> e on this walker's weights."""
        ...


def sam(g: Tensor, w: Tensor, rho: Radius) -> Tensor:
    """Steepest ascent in the Euclidean ball: e = ρ g / ‖g‖. One norm over all of (n,)."""
    return rho * g / (g.norm() + TINY)


def asam(g: Tensor, w: Tensor, rho: Radius, eta: float, unscaled: Iterable[slice]) -> Tensor:
    """Steepest ascent in the ball ‖e/T‖ ≤ ρ: e = ρ T²g / ‖Tg‖, T = |w| + η elementwise.

    unscaled: the slices of w where T = 1.
    """
    t = w.abs() + eta
    for part in unscaled:
        t[part] = 1.0
    return rho * t**2 * g / ((t * g).norm() + TINY)


def of(
    walker: Walker, over: Ascends | None, rho: Radius | None
) -> Callable[[Tensor, Tensor], Tensor]:
    """The ascent (g, w) -> e of an outer method: the rule of `over`, SAM's where that is None."""
    length = start(over) if rho is None else rho
    rule = sam if over is None else over.rule(walker)
    return lambda g, w: rule(g, w, length)


def start(over: Ascends | None) -> float:
    """The radius of an outer method that has none of its own: that of `over`, SAM's 0.05."""
    return 0.05 if over is None else over.rho


def check(over: Any, rho: float | None) -> None:
    """Raise ValueError where an outer method cannot stand over `over`, saying why."""
    if rho is not None:
        checks.non_negative(rho=rho)
    if over is not None and not hasattr(over, "rule"):
        why = getattr(over, "no_rule", "it has none")
        raise ValueError(
            "`over` must have an ascent rule on the loss's own gradient, as SAM and ASAM have. "
            f"Got {type(over).__name__}: {why}."
        )
