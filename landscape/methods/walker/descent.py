"""The base optimizer's step along a flat gradient.

None is not zero: an optimizer leaves a parameter without a gradient alone, while it decays one
whose gradient is zero and moves it by momentum. So a step keeps, beside the flat gradient, which
parameters the passes reached that it descends by, and the gradients of the loss's own parameters.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import or_
from typing import NamedTuple

import torch
from torch import Tensor
from torch.optim import Optimizer

from landscape.methods.walker.base_step import Carried, push_forward
from landscape.methods.walker.memory import Memory
from landscape.methods.walker.pass_gradient import PassGradient
from landscape.network.weights import Weights
from landscape.utils import checks


@dataclass
class Reach:
    """Reach of some passes: of each parameter whether one reached it, nothing before the first;
    and gradients of other tensors by weight.
    """

    parameters: list[bool] = field(default_factory=list)
    others: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)
    weight: float = 0.0

    def add(self, gradient: PassGradient, weight: float) -> None:
        """Count one pass."""
        if not self.parameters:
            self.parameters = gradient.reached
        elif not all(self.parameters):
            self.parameters = list(map(or_, self.parameters, gradient.reached))
        self.weight += weight
        for tensor, g in gradient.others:
            before = self.others.get(id(tensor))
            total = weight * g if before is None else before[1] + weight * g
            self.others[id(tensor)] = tensor, total


class LastStep(NamedTuple):
    """Inputs of the derivative of a base step: w, g (n,), and per parameter whether it was the
    optimizer's first step and whether it was reached.
    """

    w: Tensor
    g: Tensor
    first: list[bool]
    reached: list[bool]


class Descent:
    """A base optimizer that takes flat gradients.

    max_grad_norm: clips the gradient first, None: not. memory: for the copy of it that the
    optimizer gets. Raises ValueError for a norm that is not positive and finite.
    """

    def __init__(
        self, weights: Weights, optimizer: Optimizer, max_grad_norm: float | None, memory: Memory
    ):
        if max_grad_norm is not None:
            checks.positive(max_grad_norm=max_grad_norm)
        self.weights, self.optimizer, self.max_grad_norm = weights, optimizer, max_grad_norm
        self.memory = memory
        self.agree: Callable[[list[bool]], list[bool]] = list  # between ranks: see distributed.py
        self._last: LastStep | None = None
        self.forget()

    def forget(self) -> None:
        """Start counting passes anew."""
        self.own, self.looks = Reach(), Reach()

    def count(self, gradient: PassGradient, look: bool, weight: float) -> None:
        """Count a pass whose gradient the next step may descend by.

        Once a method has looked elsewhere it descends by what it found there: its passes at w only
        led the way.
        """
        (self.looks if look else self.own).add(gradient, weight)

    def step(self, w: Tensor, g: Tensor) -> None:
        """Make one step of the optimizer from w with the gradient g, both (n,)."""
        parameters, optimizer = self.weights.parameters, self.optimizer
        reach = self.looks if self.looks.weight else self.own
        reached = self.agree(self._reached(reach, g))
        first = [not optimizer.state.get(p) for p in parameters]
        self._last = LastStep(w, g, first, reached)
        # a copy: some of torch's optimizers write into what they get
        handed = self.memory.copy(self._clip(g))
        for p, part, moves in zip(parameters, self.weights.cut(handed), reached, strict=True):
            p.grad = _laid_out_as(p, part) if moves else None
        optimizer.step()
        for p in parameters:
            p.grad = None
        for tensor, total in reach.others.values():
            found = total / reach.weight
            tensor.grad = found if tensor.grad is None else tensor.grad + found
        self.forget()

    def push_forward(
        self, dw: Tensor, dg: Tensor, carried: Sequence[Carried] = ()
    ) -> tuple[Tensor, list[Carried]]:
        """Differentiate the last step: from tangents of w and g, (n,), to those of w⁺ and state.

        carried: per parameter, tangents of the optimizer's state before the step; () is zero.
        """
        w, g, first, reached = self._of_last()
        norm = g.norm()
        if self.max_grad_norm is not None and norm > self.max_grad_norm:
            dg = (self.max_grad_norm / norm) * (dg - g * ((g @ dg) / norm**2))
        after: list[Tensor] = []
        states: list[Carried] = list(carried) or [()] * len(reached)
        split = self.weights.split
        parts = zip(
            self.weights.parameters,
            split(w),
            split(self._clip(g)),
            split(dw),
            split(dg),
            strict=True,
        )
        for i, (p, w_i, g_i, dw_i, dg_i) in enumerate(parts):
            if reached[i]:
                dw_i, states[i] = push_forward(
                    self.optimizer, p, first[i], w_i, g_i, dw_i, dg_i, states[i]
                )
            after.append(dw_i)  # one that was not reached stays, and so does its state
        return self.weights.flatten(after), states

    def _of_last(self) -> LastStep:
        if self._last is None:
            raise ValueError("There is no step to differentiate yet: call `descend` first.")
        return self._last

    def _reached(self, reach: Reach, g: Tensor) -> list[bool]:
        """Per parameter, whether it gets a gradient; one that is not zero is never dropped."""
        if not reach.weight or all(reach.parameters):  # or a gradient from elsewhere
            return [True] * len(self.weights.names)
        parts: Sequence[Tensor] = self.weights.views(g)
        return [r or bool(part.any()) for r, part in zip(reach.parameters, parts, strict=True)]

    def _clip(self, g: Tensor) -> Tensor:
        if self.max_grad_norm is None:
            return g
        return g * (self.max_grad_norm / g.norm().clamp(min=self.max_grad_norm))


def _laid_out_as(p: Tensor, g: Tensor) -> Tensor:
    """The gradient in its parameter's strides, as backward leaves it: fused steps rely on it."""
    return g if g.stride() == p.stride() else torch.empty_like(p).copy_(g)
