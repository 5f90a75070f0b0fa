"""Lengths of weights by filter or by parameter tensor: v (n,) -> (n,), each coordinate its group's.

A filter is a row of a linear layer or an output channel of a convolution; biases and normalisation
parameters have none (Li et al. 2018, section 4).
"""

import torch
from torch import Tensor

from landscape.objective.objective import Objective


def by_tensor(objective: Objective) -> Tensor:
    """The number of each coordinate's parameter tensor, (n,) int64."""
    sizes = torch.tensor([part.stop - part.start for part in objective.layers.values()])
    return torch.arange(len(sizes)).repeat_interleave(sizes).to(objective.device)


def by_filter(objective: Objective) -> Tensor:
    """The number of each coordinate's filter, (n,) int64; a tensor without filters is one group."""
    filters, tensors = objective.weights.filter_index().to(objective.device), by_tensor(objective)
    return torch.where(filters >= 0, filters, filters.max() + 1 + tensors)


def length(groups: Tensor, v: Tensor) -> Tensor:
    """‖v_g‖ of each coordinate's group g."""
    return _reduced(groups, v.square(), "sum").sqrt()


def rms(groups: Tensor, v: Tensor) -> Tensor:
    """‖v_g‖ / √(size of g)."""
    return _reduced(groups, v.square(), "mean").sqrt()


def largest(groups: Tensor, v: Tensor) -> Tensor:
    """max |v_g|."""
    return _reduced(groups, v.abs(), "amax")


def mask(objective: Objective, biases: bool = False, normalisation: bool = False) -> Tensor:
    """Which coordinates belong to a filter, and on request the others too, (n,) bool.

    biases: all that is neither in a filter nor in a normalisation layer.
    Raises ValueError where that is none at all.
    """
    chosen = objective.weights.filter_index() >= 0
    for gain, part in zip(objective.weights.gains, objective.layers.values(), strict=True):
        if not chosen[part].any():
            chosen[part] = normalisation if gain else biases
    if not chosen.any():
        raise ValueError(
            "The model has no weights of linear layers or convolutions to perturb. "
            "Set biases=True for noise, or give a surface its plane."
        )
    return chosen.to(objective.device)


def ratios(objective: Objective, d: Tensor) -> tuple[float, float] | None:
    """The smallest and the largest ‖filter of d‖ / ‖filter of w‖; None where w has no filters."""
    groups, w = by_filter(objective), objective.w
    lengths = length(groups, w)
    compared = (objective.weights.filter_index().to(w.device) >= 0) & (lengths > 0)
    if not compared.any():
        return None
    found = length(groups, d)[compared] / lengths[compared]
    return float(found.min()), float(found.max())


def _reduced(groups: Tensor, v: Tensor, how: str) -> Tensor:
    found = v.new_zeros(int(groups.max()) + 1)
    return found.scatter_reduce(0, groups, v, how, include_self=False)[groups]
