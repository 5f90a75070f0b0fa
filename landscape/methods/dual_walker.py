"""A walker that differentiates a step with respect to its radius, whatever the step is.

Forward mode: the radius is a dual number ρ + 1·ε, and so is every tensor that a method makes of it.
A gradient at a dual point z + ż·ε is g + H(z)ż·ε, a base step maps (w, g) by its response. So the
derivative of a step needs no code of the step's own.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from landscape.methods.ascent import mean
from landscape.methods.walker.base_step import Carried
from landscape.methods.walker.walker import Walker
from landscape.network.batch import Batch, LossFn

HESSIANS = ("exact", "difference", "secant", "diagonal")
STRETCH = 0.01  # of the radius: the step of the forward difference


class DualWalker:
    """Walker in dual numbers for one step: the same points and passes, with tangents d/dρ.

    rho: the radius, shape (); hessian: the product or approximation for Hż, see LETS.
    slope: dw/dρ so far, (n,), None while zero; passes_at_start: batches, losses and gradients of
    the passes at the step's start.

    Several base steps in one step, as Lookbehind's, are differentiated through the weights and
    through what one leaves to the next: momentum, Adam's moments, weight decay.
    """

    def __init__(self, walker: Walker, rho: Tensor, hessian: str):
        self.walker, self.rho, self.hessian = walker, rho, hessian
        self.slope: Tensor | None = None
        self.passes_at_start: list[tuple[Batch, Tensor, Tensor]] = []
        self._descended = False
        self._carried: list[Carried] = []  # tangents of the base optimizer's state
        self._at_w: dict[tuple[Batch, bool], tuple[Tensor, Tensor | None]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.walker, name)

    @property
    def w(self) -> Tensor:
        """Point of the walker, (n,)."""
        return dual(self.walker.w, self.slope)

    def shifted(self, e: Tensor) -> Tensor:
        """Point w + e, (n,)."""
        e, tangent = unpack(e)
        if tangent is not None and self.slope is not None:
            tangent = self.slope + tangent
        return dual(self.walker.shifted(e), self.slope if tangent is None else tangent)

    def vector(self) -> None:
        """No memory for a vector: what is written into it would have no tangent."""

    def grad(self, batch: Batch, at: Tensor | None = None, loss: LossFn | None = None) -> Tensor:
        """∇L on a batch, (n,)."""
        return self.value_and_grad(batch, at, loss)[1]

    def value_and_grad(
        self, batch: Batch, at: Tensor | None = None, loss: LossFn | None = None
    ) -> tuple[Tensor, Tensor]:
        """L, shape () and without a tangent, and ∇L, (n,), of one pass."""
        point, moving = (self.walker.w, self.slope) if at is None else unpack(at)
        value, g = self.walker.value_and_grad(batch, None if at is None else point, loss)
        tangent = None
        if moving is not None:
            tangent = self._curvature(batch, point, moving, g, loss, look=at is not None)
        if at is None:
            self._at_w[batch, loss is None] = g, tangent
            if loss is None and not self._descended:
                self.passes_at_start.append((batch, value, g))
        return value, dual(g, tangent)

    def descend(self, g: Tensor) -> None:
        """Make one base step, and differentiate it."""
        g, tangent = unpack(g)
        self.walker.descend(g)
        self._descended = True
        if tangent is not None or self.slope is not None:
            self._respond(torch.zeros_like(g) if tangent is None else tangent)

    def move_to(self, w: Tensor) -> None:
        """Stand at w (n,)."""
        w, self.slope = unpack(w)
        self.walker.move_to(w)

    def log(self, **scalars: Tensor | float) -> None:
        """Values to keep beside the step's loss."""
        values = {k: unpack(v)[0] if isinstance(v, Tensor) else v for k, v in scalars.items()}
        self.walker.log(**values)

    def pass_at_start(self) -> tuple[Tensor, Tensor] | None:
        """Loss () and gradient (n,) at the step's start, None where no pass was of the loss."""
        if not self.passes_at_start:
            return None
        batches, values, gradients = zip(*self.passes_at_start, strict=True)
        return mean(batches, values), mean(batches, gradients)

    def _curvature(
        self,
        batch: Batch,
        z: Tensor,
        moving: Tensor,
        g: Tensor,
        loss: LossFn | None,
        look: bool,
    ) -> Tensor:
        """Product Hż at z, (n,), or its approximation."""
        if self.hessian == "exact" and loss is None:  # a target held constant is in no Hessian
            return self.walker.hvp(batch, moving, at=z)
        if self.hessian == "diagonal":
            return g**2 * moving
        key = batch, loss is None
        if self.hessian == "secant" and look and key in self._at_w:
            g_w, tangent = self._at_w[key]
            secant = (g - g_w) / self.rho
            return secant if tangent is None else tangent + secant
        step = STRETCH * self.rho
        with self.walker.leading():
            return (self.walker.grad(batch, at=z + step * moving, loss=loss) - g) / step

    def _respond(self, tangent: Tensor) -> None:
        """Update the tangent of w after a base step, from that of its gradient."""
        before = torch.zeros_like(tangent) if self.slope is None else self.slope
        self.slope, self._carried = self.walker.push_forward(before, tangent, self._carried)


def dual(t: Tensor, tangent: Tensor | None) -> Tensor:
    """t with a tangent of the same shape; t itself where that is None."""
    return t if tangent is None else forward_ad.make_dual(t, tangent.to(t))


def unpack(t: Tensor) -> tuple[Tensor, Tensor | None]:
    """A tensor and its tangent, None where it has none."""
    primal, tangent = forward_ad.unpack_dual(t)
    return primal, tangent


@contextmanager
def tangents() -> Iterator[None]:
    """While open, tensors may have tangents."""
    _load()
    with forward_ad.dual_level():
        yield


@cache
def _load() -> None:
    """Torch compiles a few rules at first use and warns that its compiler is deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        with forward_ad.dual_level():
            dual(torch.zeros(()), torch.zeros(()))
