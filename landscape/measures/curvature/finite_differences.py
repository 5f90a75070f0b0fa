"""Curvature products by central finite differences, where a model cannot be differentiated twice.

They are worth little on networks with kinks (ReLU: errors of 6 to 250 % were seen), so a second
step size says how far they may be off.
"""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from landscape.network.parameter_block import Block
from landscape.objective.objective import Objective

Formula = Callable[[Tensor, Tensor, float], Tensor]  # (v (m,), point (n,), h) -> (m,)
LADDER = 4.0  # between one step size and the next
RUNGS = range(-2, 4)


def of_the_gradient(objective: Objective, block: Block) -> Formula:
    """(∇L(w + h v) − ∇L(w − h v)) / 2h ≈ ∇²L v, on a block."""

    def formula(v: Tensor, at: Tensor, h: float) -> Tensor:
        e = h * block.embed(v)
        return block.read(objective.grad(at + e) - objective.grad(at - e)) / (2 * h)

    return formula


class Differences:
    """v ↦ D(v) by `formula`, with the step at which two neighbouring steps agree best.

    The middle step moves w by the cube root of eps times ‖w‖ of the block, where truncation h² and
    rounding eps/h balance for a function with derivatives of the order of 1.
    error: ‖D(v) − D'(v)‖ / ‖D(v)‖ for `probe`, D' with a step four times as long.
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

    def __call__(self, v: Tensor, at: Tensor, factor: float = 1.0) -> Tensor:
        """The product at a point (n,); factor: of the step."""
        length = float(v.norm())
        if length == 0:
            return torch.zeros_like(v)
        return self.formula(v, at, factor * self.step / length)

    def doubt(self, v: Tensor, at: Tensor) -> float:
        """Error estimate ‖·‖ of the product with v: its distance from that of the next step."""
        return float((self(v, at) - self(v, at, LADDER)).norm())
