"""Pruning: loss and accuracy with the smallest weights set to zero."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from landscape.measures.context import Progress, shows_progress, signature
from landscape.measures.space import filters, scales
from landscape.objective.objective import Objective
from landscape.records import PruningRecord
from landscape.utils import checks

SCOPES = ("global", "layer")


@dataclass(frozen=True)
class Pruning:
    """Loss and accuracy after magnitude pruning: the weights of smallest |w| set to 0, one shot.

    Only weights of linear layers and convolutions are pruned; biases and normalisation parameters
    stay. Nothing is trained afterwards. The record holds loss and accuracy (fractions,).

    fractions: shares of those weights to remove, rising, from 0 to 1; rounded up to a whole number
    of weights. Among equal weights the first are removed.
    scope: "global" removes the smallest weights of the network, "layer" the same share of each
    weight tensor.

    Raises ValueError for settings out of range, and for a model without weights to prune.

    Example: L(w) = (9 w₁² + w₂²)/2 at w = (2, 1): pruning half leaves w = (2, 0).

    >>> import torch
    >>> import landscape as ls
    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> model.weight.data = torch.tensor([[2.0, 1.0]])
    >>> batch = ls.Batch(torch.diag(torch.tensor([3.0, 1.0])), torch.zeros(2, 1))
    >>> mse = lambda model, batch: (model(batch.x) - batch.y).square().mean()
    >>> objective = ls.Objective(model, [batch], mse)
    >>> ls.measures.Pruning(fractions=(0.5,))(objective).loss
    array([18.])
    """

    fractions: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9)
    scope: str = "global"

    over_ranks: ClassVar[bool] = True

    def __post_init__(self) -> None:
        checks.typed(self)
        scales.check_rising("fractions", self.fractions, "shares")
        if self.fractions[-1] > 1:
            raise ValueError(f"`fractions` must be at most 1. Got {self.fractions}.")
        checks.one_of(SCOPES, scope=self.scope)

    @shows_progress
    def __call__(self, objective: Objective, *, progress: Progress | None = None) -> PruningRecord:
        """Measure at the objective's point; `progress` counts fractions."""
        w, chosen = objective.w, filters.mask(objective).cpu()
        groups = torch.zeros(len(w), dtype=torch.int64)
        if self.scope == "layer":
            for number, layer in enumerate(objective.layers.values()):
                groups[layer] = number
        place = torch.where(chosen, places(w.abs().cpu(), groups, chosen), 1.0)
        kept = [place >= fraction for fraction in (0.0, *self.fractions)]
        points = [partial(_masked, w, k.to(objective.device)) for k in kept]
        found = np.array(objective.evaluate(points, expected=len(points)))
        if progress is not None:
            progress(len(self.fractions), len(self.fractions))
        return PruningRecord(
            fraction=np.array(self.fractions),
            pruned=np.array([int((~k).sum()) for k in kept[1:]]),
            loss=found[1:, 0],
            accuracy=found[1:, 1],
            scope=self.scope,
            clean_loss=float(found[0, 0]),
            clean_accuracy=float(found[0, 1]),
            **signature(self, objective),
        )


def _masked(w: Tensor, kept: Tensor, out: Tensor) -> None:
    torch.mul(w, kept, out=out)


def places(size: Tensor, groups: Tensor, chosen: Tensor) -> Tensor:
    """Rank of each chosen coordinate in its group: the share that is smaller, in [0, 1), float64.

    size, groups, chosen: (n,); coordinates that are not chosen are ignored and hold 0.
    """
    found = torch.zeros(len(size), dtype=torch.float64)
    for group in groups[chosen].unique():
        (members,) = torch.where(chosen & (groups == group))
        order = members[size[members].argsort(stable=True)]
        found[order] = torch.arange(len(order), dtype=torch.float64) / len(order)
    return found
