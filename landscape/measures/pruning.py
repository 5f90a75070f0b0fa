"""Robustness to missing weights: loss and accuracy with the smallest weights set to zero."""

from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor

from landscape.measures.context import Progress, point_of
from landscape.measures.space import filters, scales
from landscape.objective.objective import Objective
from landscape.records import PruningRecord
from landscape.utils.environment import environment

SCOPES = ("global", "layer")


@dataclass(frozen=True)
class Pruning:
    """Loss and accuracy without the share of weights of smallest |w|, and without training again.

    Weights of linear layers and convolutions only; biases and normalisation parameters stay.

    fractions: shares of those weights, rising, from 0 to 1. At least that many go, to the next
    whole weight; of equal ones the first.
    scope: "global", the smallest of the network, or "layer", as large a share of each weight
    tensor.

    Raises ValueError for settings out of range, and where the model has nothing to prune.
    """

    fractions: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9)
    scope: str = "global"

    def __post_init__(self) -> None:
        scales.check_rising("fractions", self.fractions, "shares")
        if self.fractions[-1] > 1:
            raise ValueError(f"`fractions` must be at most 1. Got {self.fractions}.")
        if self.scope not in SCOPES:
            raise ValueError(f"`scope` must be one of {', '.join(SCOPES)}. Got {self.scope!r}.")

    def __call__(self, objective: Objective, *, progress: Progress | None = None) -> PruningRecord:
        """Ask it of the objective's point; `progress` counts fractions."""
        w, chosen = objective.w, filters.mask(objective).cpu()
        groups = filters.by_tensor(objective).cpu() * (self.scope == "layer")
        place = torch.where(chosen, places(w.abs().cpu(), groups, chosen), 1.0)
        kept = [place >= fraction for fraction in (0.0, *self.fractions)]
        found = np.array(objective.evaluate(w * k.to(objective.device) for k in kept))
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
            point=point_of(objective),
            settings=asdict(self),
            provenance=environment(),
        )


def places(size: Tensor, groups: Tensor, chosen: Tensor) -> Tensor:
    """The share of its group that is smaller, in [0, 1), for every chosen coordinate; float64.

    size, groups, chosen: (n,); what is not chosen counts for nothing and holds 0.
    """
    found = torch.zeros(len(size), dtype=torch.float64)
    for group in groups[chosen].unique():
        (members,) = torch.where(chosen & (groups == group))
        order = members[size[members].argsort(stable=True)]
        found[order] = torch.arange(len(order), dtype=torch.float64) / len(order)
    return found
