"""Norms of a ball ‖u‖ ≤ ρ: their steepest directions, projections and noise."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class BallNorm:
    """A norm of R^n by what an ascent in its ball needs.

    steepest: g (n,) -> the u of norm one with the largest g·u. into: (u, ρ) -> the nearest point of
    the ball. noise: a standard Gaussian (n,) -> the average case at ρ = 1.
    """

    steepest: Callable[[Tensor], Tensor]
    into: Callable[[Tensor, float], Tensor]
    noise: Callable[[Tensor], Tensor]


def unit(v: Tensor) -> Tensor:
    """v/‖v‖; zero stays zero."""
    return v / v.norm().clamp(min=torch.finfo(v.dtype).tiny ** 0.5)


def into_ball(u: Tensor, rho: float) -> Tensor:
    """The nearest point with ‖u‖ ≤ ρ."""
    return u * (rho / u.norm().clamp(min=rho))


def uniform(xi: Tensor) -> Tensor:
    """U(−1, 1) from a standard Gaussian, by its distribution function."""
    return torch.erf(xi / 2**0.5)


L2 = BallNorm(unit, into_ball, lambda xi: xi)
LINF = BallNorm(torch.sign, lambda u, rho: u.clamp(-rho, rho), uniform)
NORMS = {"linf": LINF, "l2": L2}
