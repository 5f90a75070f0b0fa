"""A learned radius: one positive number that Adam moves against a hypergradient."""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Radius(NamedTuple):
    """The radius in units of its start, and Adam's memory; all shape (), float64."""

    value: Tensor
    mean: Tensor
    square: Tensor
    updates: Tensor


def begin() -> Radius:
    """At the start: 1, with an empty memory."""
    one, *zeros = torch.tensor([1.0, 0.0, 0.0, 0.0], dtype=torch.float64)
    return Radius(one, *zeros)


def descend(
    radius: Radius, slope: Tensor, beta: float, parameterisation: str, bounds: tuple[float, float]
) -> Radius:
    """Step of Adam (β = 0.9, 0.999), of size beta, on ν, where value = exp ν, softplus ν or ν.

    slope: dF/dvalue, shape (). Where it is not finite nothing changes.
    """
    x, mean, square, updates = (t.to(slope.device) for t in radius)
    h = DERIVATIVES[parameterisation](x) * slope.double()
    updates = updates + 1
    mean = 0.9 * mean + 0.1 * h
    square = 0.999 * square + 0.001 * h**2
    root = (square / (1 - 0.999**updates)).sqrt()
    # no epsilon: the slope carries the learning rate and may be small at any size
    move = beta * torch.where(root > 0, mean / (1 - 0.9**updates) / root, 0.0)
    updated = Radius(MOVES[parameterisation](x, move).clamp(*bounds), mean, square, updates)
    finite = slope.isfinite()
    kept = (torch.where(finite, new, old.to(new)) for new, old in zip(updated, radius, strict=True))
    return Radius(*kept)


def _softplus(x: Tensor, move: Tensor) -> Tensor:
    nu = x + torch.log(-torch.expm1(-x))
    return F.softplus(nu - move)


MOVES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "exp": lambda x, move: x * torch.exp(-move),
    "softplus": _softplus,
    "clip": torch.sub,
}
DERIVATIVES: dict[str, Callable[[Tensor], Tensor]] = {  # dvalue/dν
    "exp": torch.clone,
    "softplus": lambda x: -torch.expm1(-x),
    "clip": torch.ones_like,
}
PARAMETERISATIONS = tuple(MOVES)
