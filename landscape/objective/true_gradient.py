"""Is what torch gives as the gradient the gradient of the loss?

A loss with detach(), a hook on a tensor or a custom backward has values that follow the weights in
another way than its derivatives do. Those are symmetric and converge: only values tell.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from landscape.network.batch import Batch
from landscape.objective.empirical_risk import EmpiricalRisk
from landscape.utils.memory import ran_out
from landscape.utils.rng import seed_of

SMALL = 200_000  # weights up to which float64 is taken: its convolutions take ten times as long
# Steps in lengths of w; the later ones where something inside computes in float32.
STEPS = {
    torch.float64: ((1e-6, 1e-7, 1e-9), (3e-4, 1e-4, 1e-3)),
    torch.float32: ((1e-5, 3e-6, 3e-5), (3e-4, 1e-4, 1e-3)),
}
WIDE = (1e-2, 3e-3)  # across the steps of what is rounded inside, whose slope is meant
CLOSER = 0.25  # of the difference that small steps show: then it is such a rounding
NEAR = {torch.float64: 1e-5, torch.float32: 3e-3}  # of the same: what a step's own error explains
BLIND = 0.03  # of the larger of |∇L| and the difference: with more rounding a step tells nothing
ALIKE = 0.1  # of the difference to the gradient, by which steps and sides may differ: not at a kink
ROUNDING = 30  # in eps of the loss
OTHER_FUNCTION = (
    "The gradient that torch gives is not that of the loss: along one direction it says {:.4g}, "
    "and the loss itself changes by {:.4g}. detach(), a hook that changes gradients or a "
    "backward of your own makes such a loss. Compute what is meant as a constant beforehand, or "
    "with a copy of the model. As it is, values alone can be measured: surface, noise."
)


def reason_against(risk: EmpiricalRisk, batch: Batch) -> str:
    """Compare the gradient on a batch with differences of the loss along one direction: the reason
    why it is not the gradient; "" where it is, or where no step tells.

    The direction is that of the gradient and a random one, so that weights without a gradient move.
    In float64 for small networks that can run in it.
    """
    given = risk.on_batches([batch])
    ways = [given.in_float64] * (risk.weights.n <= SMALL) + [lambda: given]
    for taken in ways:
        try:
            return _compared(taken())
        except Exception as error:  # in the words of a network that cannot run in float64
            if ran_out(error):
                raise
    return ""


def _compared(risk: EmpiricalRisk) -> str:
    value, gradient = risk.value_and_gradient(risk.w)
    size = float(gradient.norm())
    if not size < float("inf"):
        return ""
    direction = _direction(risk, gradient / size if size else gradient)
    slope, near = float(gradient @ direction), NEAR[risk.w.dtype]
    for steps in STEPS[risk.w.dtype]:
        seen: list[float] = []
        for found in _differences(risk, direction, steps, value):
            scale = max(size, abs(found.slope))
            if found.rounding <= BLIND * scale:
                if abs(found.slope - slope) <= near * scale + found.rounding:
                    return ""
                seen += found.ahead, found.behind
        off = min((abs(side - slope) for side in seen), default=0.0)
        alike = len(seen) > 2 and max(seen) - min(seen) <= ALIKE * off
        if alike and all(seen):
            wide = (found.slope for found in _differences(risk, direction, WIDE, value))
            if any(abs(found - slope) <= CLOSER * off for found in wide):
                return ""
            return OTHER_FUNCTION.format(slope, seen[0])
    return ""


def _direction(risk: EmpiricalRisk, along: Tensor) -> Tensor:
    """A unit direction: half of it along the gradient, half a random one of the parameters that
    have none, or of all.
    """
    generator = torch.Generator().manual_seed(seed_of(risk.seed, "slope"))
    xi = torch.randn(risk.weights.n, generator=generator).to(risk.w)
    parts = risk.weights.layers.values()
    if without := [part for part in parts if not bool(along[part].any())]:
        kept, xi = xi, torch.zeros_like(xi)
        for part in without:
            xi[part] = kept[part]
    return (along + xi / xi.norm().clamp_min(1e-30)) / 2**0.5


class Difference(NamedTuple):
    """Slopes of the loss from a point to either side, which differ at a kink, and the rounding in
    them.
    """

    ahead: float
    behind: float
    rounding: float

    @property
    def slope(self) -> float:
        """The central difference."""
        return (self.ahead + self.behind) / 2


def _differences(
    risk: EmpiricalRisk, direction: Tensor, steps: tuple[float, ...], value: float
) -> Iterator[Difference]:
    """Differences along a unit direction; value: the loss at w."""
    length = float(risk.w.norm()) or 1.0
    for step in steps:
        h = step * length
        ahead, behind = (risk.value(risk.w + sign * h * direction) for sign in (1, -1))
        rounding = ROUNDING * torch.finfo(risk.w.dtype).eps * max(abs(ahead), abs(behind)) / h
        yield Difference((ahead - value) / h, (value - behind) / h, rounding)
