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
from torch.optim import SGD

from landscape.methods.ascent import mean
from landscape.methods.walker.walker import Walker
from landscape.network.batch import Batch, LossFn

HESSIANS = ("exact", "difference", "secant", "diagonal")
STRETCH = 0.01  # of the radius: the step of the forward difference


class Traced:
    """Stands in for a walker during one step: the same points and passes, with tangents d/dρ.

    rho: the radius, shape (); hessian: what stands for Hż, as LETS explains it.
    slope: dw/dρ so far, (n,), None while zero; own: batches, losses and gradients of the passes at
    the step's start.

    Of several base steps in one step, as Lookbehind's: SGD is differentiated exactly, its momentum
    and decay included; with Adam each base step is, but not what one leaves to the next in the
    moments and by weight decay.
    """

    def __init__(self, walker: Walker, rho: Tensor, hessian: str):
        self.walker, self.rho, self.hessian = walker, rho, hessian
        self.slope: Tensor | None = None
        self.own: list[tuple[Batch, Tensor, Tensor]] = []
        self._descended = False
        self._moved: Tensor | None = None  # tangent of SGD's momentum, times -lr
        self._at_w: dict[tuple[Batch, bool], tuple[Tensor, Tensor | None]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.walker, name)

    @property
    def w(self) -> Tensor:
        """Point of the walker, (n,)."""
        return dual(self.walker.w, self.slope)

    def grad(self, batch: Batch, at: Tensor | None = None, loss: LossFn | None = None) -> Tensor:
        """∇L on a batch, (n,)."""
        return self.value_and_grad(batch, at, loss)[1]

    def value_and_grad(
        self, batch: Batch, at: Tensor | None = None, loss: LossFn | None = None
    ) -> tuple[Tensor, Tensor]:
        """L, shape () and without a tangent, and ∇L, (n,), of one pass."""
        point, moving = (self.walker.w, self.slope) if at is None else parts(at)
        value, g = self.walker.value_and_grad(batch, None if at is None else point, loss)
        tangent = None
        if moving is not None:
            tangent = self._curvature(batch, point, moving, g, loss, look=at is not None)
        if at is None:
            self._at_w[batch, loss is None] = g, tangent
            if loss is None and not self._descended:
                self.own.append((batch, value, g))
        return value, dual(g, tangent)

    def descend(self, g: Tensor) -> None:
        """Make one base step, and differentiate it."""
        g, tangent = parts(g)
        self.walker.descend(g)
        self._descended = True
        if tangent is not None or self.slope is not None:
            self._respond(torch.zeros_like(g) if tangent is None else tangent)

    def move_to(self, w: Tensor) -> None:
        """Stand at w (n,)."""
        w, self.slope = parts(w)
        self.walker.move_to(w)

    def log(self, **scalars: Tensor | float) -> None:
        """Values to keep beside the step's loss."""
        values = {k: parts(v)[0] if isinstance(v, Tensor) else v for k, v in scalars.items()}
        self.walker.log(**values)

    def own_pass(self) -> tuple[Tensor, Tensor] | None:
        """Loss () and gradient (n,) at the step's start, None where no pass was of the loss."""
        if not self.own:
            return None
        batches, values, gradients = zip(*self.own, strict=True)
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
        """Hż at z, (n,), or what stands for it."""
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
        """The tangent of w after a base step, from that of its gradient."""
        walker, optimizer = self.walker, self.walker.optimizer
        before = torch.zeros_like(tangent) if self.slope is None else self.slope
        if not isinstance(optimizer, SGD):
            self.slope = before + walker.response(tangent)
            return
        mu, nesterov, decay = (
            per_coordinate(walker, name) for name in ("momentum", "nesterov", "weight_decay")
        )
        # b = μ b + q moves w by -lr·b, with Nesterov by -lr·(q + μ b); all times -lr here
        push = walker.response(tangent + decay * before) / (1 + mu * nesterov)
        last = torch.zeros_like(push) if self._moved is None else self._moved
        carried = torch.where(walker.moved, mu * last + push, last)
        along = torch.where(nesterov > 0, push + mu * carried, carried)
        self.slope = before + torch.where(walker.moved, along, 0.0)
        self._moved = carried


def per_coordinate(walker: Walker, name: str) -> Tensor:
    """A setting of the base optimizer's groups, (n,)."""
    of = {id(p): float(g[name]) for g in walker.optimizer.param_groups for p in g["params"]}
    parameters = walker.weights.parameters
    return walker.weights.flatten([torch.full_like(p, of[id(p)]) for p in parameters])


def dual(t: Tensor, tangent: Tensor | None) -> Tensor:
    """t with a tangent of the same shape; t itself where that is None."""
    return t if tangent is None else forward_ad.make_dual(t, tangent.to(t))


def parts(t: Tensor) -> tuple[Tensor, Tensor | None]:
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
