"""Trace of a symmetric H by products H v, with a confidence interval.

One share is exact in a subspace; the rest is estimated from random directions.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from landscape.linalg.block_trace import diagonal_blocks, estimate_blocks, merged
from landscape.linalg.deflation import METHODS as DEFLATIONS
from landscape.linalg.deflation import Deflation
from landscape.linalg.quadratic_forms import (
    Estimate,
    Floats,
    estimate,
    numbered_directions,
    project_out,
)
from landscape.linalg.rows import Computed, Rows
from landscape.linalg.subspace import ROUNDING, MatVec

METHODS = ("krylov", *DEFLATIONS)
PRODUCTS = {"hutch++": 2, "hutchinson": 1}  # for a vector of the subspace
FEWEST = 10  # directions: with fewer the interval falls short where one eigenvalue dominates
SPARE = 1.05  # more directions than the last look asks for: most runs end at the second look
OTHERS = 2**31  # added to the seed: directions that have nothing to do with the subspace


@dataclass(frozen=True)
class TraceEstimate:
    """Estimate of tr H, which lies in [low, high] with 95 % confidence."""

    value: float
    stderr: float
    low: float
    high: float
    draws: int  # random directions
    deflated: int  # dimension of the subspace whose share is known
    matvecs: int
    converged: bool  # (high − low)/2 ≤ tolerance·|value|


def trace(
    matvec: MatVec,
    like: Tensor,
    *,
    method: str = "krylov",
    blocks: Sequence[int] | None = None,
    tolerance: float = 0.01,
    max_matvecs: int = 300,
    memory: int = 2**31,
    seed: int = 0,
    known: float = 0.0,
    error: float = 0.0,
    callback: Callable[[int], None] | None = None,
    rows: Rows | None = None,
) -> TraceEstimate:
    """Spend products until the 95 % interval is value ± tolerance·|value|, or `max_matvecs`.

    matvec: v (n,) ↦ H v (n,), H symmetric; like: (n,) of its dtype and on its device.
    method: of the subspace, a name in `METHODS`; it takes at most half of the products, and as many
        vectors as `memory` bytes hold.
    blocks: sizes of the diagonal blocks of which "krylov" adds up the traces, of sum n; default
        one, H itself. Several are merged where the products do not suffice for them.
    known: a share of the trace that the matvec leaves out: of vectors that it projects away.
    error: relative, of one product, where it is more than rounding; it widens the interval.
    callback: called as callback(matvecs) after each product that is made here.
    rows: gives what the random directions of "hutch++" and "hutchinson" answer, where it may be
        known or computed elsewhere. Those of "krylov" depend on one another.

    Stopping hardly bends the interval: the subspace is chosen by what it takes away, the number of
    directions by a variance that ten of them tell nearly exactly (see `quadratic_forms`), in few
    looks.

    ValueError: method, tolerance or max_matvecs out of range; a product that is not finite.
    """
    if method not in METHODS:
        raise ValueError(f"`method` must be one of {', '.join(METHODS)}. Got {method!r}.")
    if not tolerance >= 0:
        raise ValueError(f"`tolerance` must be non-negative. Got {tolerance}.")
    if max_matvecs < 2 * FEWEST:
        raise ValueError(f"`max_matvecs` must be at least {2 * FEWEST}. Got {max_matvecs}.")
    counted = _Counted(matvec, callback)
    error = max(error, ROUNDING * torch.finfo(like.dtype).eps)
    if method == "krylov":
        sizes = merged(blocks or [len(like)], max_matvecs)
        parts = diagonal_blocks(counted, like, sizes, max_matvecs // 2, memory, seed)
        found = estimate_blocks(parts, tolerance, max_matvecs, error, known)
        deflated = sum(b.space.size for b in parts)
        spent, draws = deflated, counted.calls - deflated
    else:
        affordable = memory // (len(like) * like.dtype.itemsize) - 1
        most = max(1, min(len(like), max_matvecs // 2 // PRODUCTS[method], affordable))
        deflation = DEFLATIONS[method](counted, like, tolerance, most, seed, known)
        spent, rows = counted.calls, rows or Computed()
        left = max_matvecs - spent
        found, draws = _rest(counted, like, deflation, tolerance, left, seed, error, rows)
        deflated = deflation.size
    value, half = float(found.value), float(found.half)
    return TraceEstimate(
        value=value,
        stderr=float(found.stderr),
        low=value - half,
        high=value + half,
        draws=draws,
        deflated=deflated,
        matvecs=spent + draws,
        converged=half <= tolerance * abs(value),
    )


def _rest(
    matvec: MatVec,
    like: Tensor,
    deflation: Deflation,
    tolerance: float,
    most: int,
    seed: int,
    error: float,
    rows: Rows,
) -> tuple[Estimate, int]:
    """Estimate tr(P H P) from up to `most` directions and add the known share; how many it took."""
    d, floor = len(like) - deflation.size, error * deflation.reach
    if not d or not most:
        return Estimate(np.array(deflation.known), np.array(0.0), np.array(floor)), 0
    direction = numbered_directions(like, seed + OTHERS, deflation.basis)

    def evaluate(numbers: Sequence[int]) -> Iterator[Floats]:
        """xᵀPHPx and ‖PHx‖² of directions x."""
        for i in numbers:
            x = direction(i)
            image = project_out(deflation.basis, matvec(x))
            form, square = (x * image).sum(dtype=torch.float64), image.square()
            yield np.array([float(form), float(square.sum(dtype=torch.float64))])

    draws = min(FEWEST, most)
    while True:
        forms, squares = np.array(rows(draws, evaluate)).T.copy()
        rest = estimate(forms, squares, d)
        floor = error * (deflation.reach + float(np.sqrt(np.mean(squares))))
        allowed = tolerance * abs(float(rest.value) + deflation.known) - floor
        if rest.half <= allowed or draws == most:
            found = Estimate(rest.value + deflation.known, rest.stderr, rest.half + floor)
            return found, draws
        wanted = math.inf if allowed <= 0 else draws * float(rest.half / allowed) ** 2
        draws = math.ceil(min(SPARE * wanted, most))


class _Counted:
    """Matvec that counts its products, reports them and checks that they are finite."""

    def __init__(self, matvec: MatVec, callback: Callable[[int], None] | None):
        self.matvec, self.callback, self.calls = matvec, callback, 0

    def __call__(self, v: Tensor) -> Tensor:
        product = self.matvec(v).detach().to(v)
        self.calls += 1
        if not bool(torch.isfinite(product).all()):
            raise ValueError(
                "`matvec` must return finite numbers. "
                f"Got NaN or infinity in product {self.calls}: "
                "check that the loss and its gradient are finite at this point, or use float64."
            )
        if self.callback is not None:
            self.callback(self.calls)
        return product
