"""Units in which a change of the weights is stated: one length per weight, s (n,)."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from landscape.measures.space import filters
from landscape.objective.objective import Objective

# Name -> the length s (n,) that one unit of change has at each weight.
SCALES: dict[str, Callable[[Objective, Tensor], Tensor]] = {
    "max": lambda objective, w: filters.largest(filters.by_tensor(objective), w),
    "rms": lambda objective, w: filters.rms(filters.by_tensor(objective), w),
    "filter": lambda objective, w: filters.rms(filters.by_filter(objective), w),
    "elementwise": lambda _, w: w.abs(),
    "absolute": lambda _, w: torch.ones_like(w),
}


def unit(objective: Objective, scale: str, biases: bool, normalisation: bool) -> Tensor:
    """s (n,) of a scale at the objective's w, zero in parameters that stay as they are.

    Raises ValueError where nothing may change.
    """
    moved = filters.mask(objective, biases, normalisation)
    return SCALES[scale](objective, objective.risk.w) * moved


def check(scale: str) -> None:
    """Raise ValueError for an unknown scale."""
    if scale not in SCALES:
        raise ValueError(f"`scale` must be one of {', '.join(SCALES)}. Got {scale!r}.")


def check_rising(name: str, values: tuple[float, ...], what: str = "levels") -> None:
    """Raise ValueError unless the values of a setting are non-negative, finite and rise."""
    if not values or not all(0 <= value < math.inf for value in values):
        raise ValueError(f"`{name}` must be non-negative {what}, all finite. Got {values}.")
    if list(values) != sorted(set(values)):
        raise ValueError(f"`{name}` must rise from one to the next. Got {values}.")
