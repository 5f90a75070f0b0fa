"""Curvature products by central finite differences, where a model cannot be differentiated twice.

They are worth little on networks with kinks (ReLU: errors of 6 to 250 % were seen), so a second
step size says how far they may be off.
"""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from landscape.network.higher_order import NoSecondDerivative
from landscape.network.parameter_block import Block

Formula = Callable[[Tensor, Tensor, float], Tensor]  # (v (m,), point (n,), h) -> (m,)
LADDER = 4.0  # between one step size and the next
RUNGS = range(-2, 4)


def of_the_gradient(grad: Callable[[Tensor], Tensor], block: Block) -> Formula:
    """(∇L(w + h v) − ∇L(w − h v)) / 2h ≈ ∇²L v, on a block; grad: point (n,) ↦ ∇L (n,)."""

    def formula(v: Tensor, at: Tensor, h: float) -> Tensor:
        e = h * block.embed(v)
        return block.read(grad(at + e) - grad(at - e)) / (2 * h)

    return formula


class Differences:
    """v ↦ D(v) by `formula`, with the step at which two neighbouring steps agree best.

    The middle step moves w by the cube root of eps times ‖w‖ of the block, where truncation h² and
    rounding eps/h balance for a function with derivatives of the order of 1.
    error: ‖D(v) − D'(v)‖ / ‖D(v)‖ for `probe`, D' with a step four times as long.
    close: how far exact products may be off these, relative to them: by that and by rounding.
    """

    def __init__(self, formula: Formula, block: Block, probe: Tensor, at: Tensor):
        self.formula = formula
        size = float(block.read(at).norm()) or 1.0
        steps = [torch.finfo(at.dtype).eps ** (1 / 3) * size * LADDER**rung for rung in RUNGS]
        unit = probe / probe.norm()
        answers = [formula(unit, at, step) for step in steps]
        doubts = [float((a - b).norm()) for a, b in pairwise(answers)]
        best = min(range(len(doubts)), key=doubts.__getitem__)
        self.step = steps[best]
        self.error = doubts[best] / (float(answers[best].norm()) or 1.0)
        self.close = 4 * self.error + 3 * torch.finfo(at.dtype).eps ** 0.5

    def __call__(self, v: Tensor, at: Tensor, factor: float = 1.0) -> Tensor:
        """The product at a point (n,); factor: of the step."""
        length = float(v.norm())
        if length == 0:
            return torch.zeros_like(v)
        return self.formula(v, at, factor * self.step / length)

    @staticmethod
    def apart(exact: Tensor, approximate: Tensor) -> float:
        """‖Hv − D(v)‖ / ‖D(v)‖ of the same product made twice; 0 where both are zero."""
        distance = float((exact - approximate).norm())
        return distance and distance / (float(approximate.norm()) or torch.finfo(exact.dtype).tiny)

    def doubt(self, v: Tensor, at: Tensor) -> float:
        """Error estimate ‖·‖ of the product with v: its distance from that of the next step."""
        return float((self(v, at) - self(v, at, LADDER)).norm())


def refuse_dropped_terms(
    product: Callable[[Tensor, Tensor], Tensor],
    grad: Callable[[Tensor], Tensor],
    block: Block,
    at: Tensor,
) -> None:
    """Raise NoSecondDerivative, a ValueError, where the product of a random vector (n,) at a point
    (n,) is not that of the gradient: a custom autograd.Function may drop terms without an error.
    """
    generator = torch.Generator().manual_seed(0)
    probe = torch.randn(len(at), generator=generator, dtype=torch.float32).to(at)
    exact = product(probe, at)
    differences = Differences(of_the_gradient(grad, block), block, probe, at)
    apart = differences.apart(exact, differences(probe, at))
    if not apart <= differences.close:
        raise NoSecondDerivative(
            "The model or loss has an autograd.Function whose backward leaves the operations of "
            "torch, so that double backward drops terms without an error: a product differs by "
            f"{apart:.2g} of its size from a difference of gradients. Write its backward with "
            "torch's operations, or ask a measure, as `Eigenvalues` or `Trace`, which takes "
            "differences here."
        )
