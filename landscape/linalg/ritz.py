"""Ritz values of a subspace, with bounds of their distance to the eigenvalues of H."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from landscape.linalg.subspace import Subspace


@dataclass(frozen=True)
class Ritz:
    """The m Ritz pairs θ, x = V y of a subspace, the most wanted first; all float64 on the CPU."""

    values: Tensor  # (m,) θ
    weights: Tensor  # (m, m) y, a column each
    strength: Tensor  # (m,) what they are ordered by: |θ| or θ
    residuals: Tensor  # (m,) r + rounding, where r is what H x sticks out of the subspace
    rounding: Tensor  # (m,) the subspace's noise and floor + ‖(C − Cᵀ) y‖/2
    bounds: Tensor  # (m,) of |θ − λ|: max(r, moved) + rounding, see `lanczos`
    estimates: Tensor  # (m,) of |θ − λ|: min(r, r²/gap) + rounding
    norm: float  # max|θ|
    moved: Tensor  # (m,) by how much the value of this rank came since the last look; inf if new

    @classmethod
    def of(cls, space: Subspace, which: str, before: Tensor) -> "Ritz":
        """Ritz pairs of `space` (m ≥ 1 vectors); before: the strengths (any,) at the last look."""
        skew = (space.projected - space.projected.T) / 2
        values, weights = torch.linalg.eigh(space.projected - skew)
        first = _order(values, which)
        values, weights = values[first], weights[:, first]
        strength = values.abs() if which == "magnitude" else values
        norm = float(values.abs().max())
        rounding = torch.linalg.vector_norm(skew @ weights, dim=0) + space.floor + space.noise
        moved = torch.zeros_like(values)
        if space.size < space.n:
            known = min(len(before), len(values))
            moved = moved.fill_(torch.inf)
            moved[:known] = (strength[:known] - before[:known]).abs()
        r = space.residuals(weights)
        return cls(
            values,
            weights,
            strength,
            residuals=r + rounding,
            rounding=rounding,
            bounds=r.maximum(moved) + rounding,
            estimates=_kato_temple(values, r) + rounding,
            norm=norm,
            moved=moved,
        )

    def bounded_as(self, earlier: "Ritz") -> "Ritz":
        """The same pairs with the bounds of an earlier look at them."""
        return replace(self, bounds=earlier.bounds, moved=earlier.moved, rounding=earlier.rounding)

    def passes(self, before: Tensor, which: str, slack: float) -> bool:
        """Test whether a value passes that of its rank in `before` (p,) by more than `slack`."""
        known = min(len(before), len(self.strength))
        ahead = self.strength[:known] - before[:known]
        if which == "smallest":
            ahead = -ahead
        if which == "both":
            ahead[1::2] *= -1
        return bool((ahead > slack).any())

    def settled(self, pairs: int, which: str, slack: float) -> Tensor:
        """Mask (p,) of the first `pairs` whose bound is ≤ slack and which cannot be passed by
        more.
        """
        return (self.bounds[:pairs] <= slack) & self.ranked(pairs, which, slack)

    def ranked(self, pairs: int, which: str, slack: float) -> Tensor:
        """Mask (p,) of the first `pairs` that no other value can pass by more than slack.

        What could still pass them comes up as the outermost of the other values, at either end.
        """
        rivals, doubt, wanted = self.values[pairs:], self.residuals[pairs:], self.strength[:pairs]
        safe = torch.ones_like(wanted, dtype=torch.bool)
        if len(rivals) == 0:
            return safe
        high = (rivals + doubt)[rivals.argmax()] - slack
        low = (rivals - doubt)[rivals.argmin()] + slack
        if which == "magnitude":
            return wanted >= high.maximum(-low)
        if which == "both":
            safe[0::2] = wanted[0::2] >= high
            safe[1::2] = wanted[1::2] <= low
            return safe
        return wanted >= high if which == "largest" else wanted <= low


def _order(values: Tensor, which: str) -> Tensor:
    """Indices (m,) of ascending values, most wanted first; `both`: ends in turn, top first."""
    if which == "magnitude":
        return values.abs().argsort(descending=True, stable=True)
    rising = torch.arange(len(values))
    falling = rising.flip(0)
    if which == "both":
        return torch.stack([falling, rising], dim=1).flatten()[: len(values)]
    return falling if which == "largest" else rising


def _kato_temple(values: Tensor, r: Tensor) -> Tensor:
    """min(r, r²/gap), (m,); gap to the next Ritz value less its own r; r where there is no gap."""
    gap = ((values[:, None] - values).abs() - r).fill_diagonal_(torch.inf).min(dim=1).values
    return torch.where((gap > r) & gap.isfinite(), r**2 / gap, r)
