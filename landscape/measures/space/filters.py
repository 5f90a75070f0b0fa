"""Lengths of weights by filter or by parameter tensor: v (n,) -> (n,), each coordinate its group's.

A filter is a row of a linear layer or an output channel of a convolution; biases and normalisation
parameters have none (Li et al. 2018, section 4).
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from landscape.objective.objective import Objective

# v (n,) -> views of it (groups, outputs, inputs, kernel), one per parameter: [g, o] is a group.
Groups = Callable[[Tensor], list[Tensor]]


def by_tensor(objective: Objective) -> Groups:
    """Each parameter tensor as one group."""
    return lambda v: [part.view(1, 1, 1, -1) for part in objective.weights.views(v)]


def by_filter(objective: Objective) -> Groups:
    """Each filter as a group; a tensor without filters is one."""

    def views(v: Tensor) -> list[Tensor]:
        pairs = zip(objective.weights.filters(v), by_tensor(objective)(v), strict=True)
        return [whole if filters is None else filters for filters, whole in pairs]

    return views


def length(groups: Groups, v: Tensor) -> Tensor:
    """‖v_g‖ of each coordinate's group g."""
    return _reduced(groups, v, norms)


def rms(groups: Groups, v: Tensor) -> Tensor:
    """‖v_g‖ / √(size of g)."""
    return _reduced(groups, v, lambda view: norms(view) / math.sqrt(view[0, 0].numel()))


def largest(groups: Groups, v: Tensor) -> Tensor:
    """max |v_g|."""
    return _reduced(groups, v, lambda view: view.abs().amax((2, 3), keepdim=True))


def norms(view: Tensor) -> Tensor:
    """‖v_g‖ of the groups of a view (groups, outputs, inputs, kernel), (groups, outputs, 1, 1)."""
    return torch.linalg.vector_norm(view, dim=(2, 3), keepdim=True)


def moved(objective: Objective, biases: bool = False, normalisation: bool = False) -> list[bool]:
    """Tell of each parameter whether it has filters, or is asked for: see `mask`."""
    filters, gains = objective.weights.filters(objective.risk.w), objective.weights.gains
    chosen = [
        view is not None or (normalisation if gain else biases)
        for view, gain in zip(filters, gains, strict=True)
    ]
    if not any(chosen):
        raise ValueError(
            "The model has no weights of linear layers or convolutions to perturb. "
            "Set biases=True for noise, or give a surface its plane."
        )
    return chosen


def mask(objective: Objective, biases: bool = False, normalisation: bool = False) -> Tensor:
    """Which coordinates belong to a filter, and on request the others too, (n,) bool.

    biases: all that is neither in a filter nor in a normalisation layer.
    Raises ValueError where that is none at all.
    """
    chosen = torch.zeros(objective.weights.n, dtype=torch.bool, device=objective.device)
    flags = moved(objective, biases, normalisation)
    for part, flag in zip(objective.layers.values(), flags, strict=True):
        chosen[part] = flag
    return chosen


def ratios(objective: Objective, d: Tensor) -> tuple[float, float] | None:
    """The smallest and the largest ‖filter of d‖ / ‖filter of w‖; None where w has no filters."""
    found = []
    pairs = zip(*map(objective.weights.filters, (objective.risk.w, d)), strict=True)
    for of_w, of_d in pairs:
        if of_w is not None and of_d is not None:
            lengths = norms(of_w)
            found.append((norms(of_d) / lengths)[lengths > 0])
    if not sum(map(len, found)):
        return None
    all_of_them = torch.cat(found)
    return float(all_of_them.min()), float(all_of_them.max())


def _reduced(groups: Groups, v: Tensor, reduce: Callable[[Tensor], Tensor]) -> Tensor:
    found = torch.empty_like(v)
    for target, view in zip(groups(found), groups(v), strict=True):
        if view.numel():
            target.copy_(reduce(view))
    return found
