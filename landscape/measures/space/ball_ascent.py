"""Projected gradient ascent in balls of rising radius: how high a function was seen to climb.

Every height is reached at a point inside its ball, so it is a lower bound of the highest there is.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from landscape.measures.space.ball_norms import L2, BallNorm
from landscape.objective.derivative import refuse_not_finite
from landscape.utils import checks


@dataclass(frozen=True, eq=False)
class Hill:
    """A function of u (n,), zero at the ball's centre, and its gradient."""

    height: Callable[[Tensor], float]
    slope: Callable[[Tensor], Tensor]

    def at(self, u: Tensor) -> "Place":
        """A place with its height: infinite where the function is not a number."""
        height = self.height(u)
        return Place(math.inf if math.isnan(height) else height, u)

    def uphill(self, u: Tensor, norm: BallNorm) -> Tensor:
        """The steepest direction at u. Raises ValueError where the gradient is not finite."""
        slope = self.slope(u)
        refuse_not_finite(slope, "no ascent can follow it")
        return norm.steepest(slope)


@dataclass(frozen=True, eq=False)
class Place:
    """A point u (n,) and how high it lies."""

    height: float
    u: Tensor


@dataclass(frozen=True, eq=False)
class Reached:
    """Result in one ball: value after the first step, from each start, and the best so far."""

    first: float
    heights: list[float]
    best: Place


def walk(
    hill: Hill,
    centre: Place,
    radii: Sequence[float],
    steps: int,
    directions: Iterable[Tensor] = (),
    norm: BallNorm = L2,
) -> Iterator[Reached]:
    """Yield the result within each radius, ‖u‖ ≤ ρ, of `steps` steps from each start.

    The first start is the centre: one step of length ρ along its gradient, the ascent of SAM; then
    on from the highest place known, which is that step, the best of the smaller balls or the latter
    moved out to the new radius. So the heights never fall, and one step at all radii costs one
    gradient. Each of `directions` (n,), of length one, is another start, on the sphere.

    Raises ValueError where a gradient is not finite.
    """
    uphill, directions = hill.uphill(centre.u, norm), list(directions)
    best, last = centre, 0.0
    for rho in radii:
        first = hill.at(rho * uphill)
        known = [best, first]
        if last > 0 and steps > 1:
            known.append(hill.at(best.u * (rho / last)))
        chains = [ascend(hill, highest(known), rho, steps - 1, norm)]
        chains += [ascend(hill, hill.at(rho * d), rho, steps, norm) for d in directions]
        best, last = highest(chains), rho
        yield Reached(first.height, [place.height for place in chains], best)


def ascend(hill: Hill, place: Place, rho: float, steps: int, norm: BallNorm = L2) -> Place:
    """Up from a place in the ball: u ← P(u + s d), d the steepest direction (in the l2 norm
    ∇f/‖∇f‖, in the l∞ norm its signs), P the projection onto ‖u‖ ≤ ρ.

    A step that does not rise is not taken, and an infinite height ends the ascent. s starts at ρ,
    doubles after a rise, halves otherwise: large steps on the sphere are power iterations, which
    find the direction of largest curvature fast; small ones save the day where the slope turns.
    """
    length, g = rho, None
    for _ in range(steps):
        if place.height == math.inf:
            break
        g = hill.uphill(place.u, norm) if g is None else g
        trial = hill.at(norm.into(place.u + length * g, rho))
        if trial.height > place.height:
            place, length, g = trial, 2 * length, None
        else:
            length /= 2
    return place


def highest(places: Sequence[Place]) -> Place:
    """The first of the highest."""
    return max(places, key=lambda place: place.height)


def check(radii: Sequence[float], steps: int, restarts: int) -> None:
    """Raise ValueError for settings out of range."""
    if not radii or not all(0 < rho < math.inf for rho in radii):
        raise ValueError(f"`radii` must be positive and finite. Got {radii}.")
    if list(radii) != sorted(set(radii)):
        raise ValueError(f"`radii` must rise from one to the next. Got {radii}.")
    checks.at_least(1, steps=steps)
    checks.non_negative(restarts=restarts)
