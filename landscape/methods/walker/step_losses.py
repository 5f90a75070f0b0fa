"""Losses of a step's own passes, and their mean."""

import torch
from torch import Tensor


class StepLosses:
    """Losses at w before a step, one for each batch that a pass there was over."""

    def __init__(self) -> None:
        self._values: list[tuple[Tensor, float]] = []

    def add(self, value: Tensor, weight: float) -> None:
        """Add the loss of one pass, shape (), with the weight of its batch."""
        self._values.append((value, weight))

    @property
    def weight(self) -> float:
        """The weight of all passes; 0 where there was none."""
        return sum(weight for _, weight in self._values)

    def mean(self) -> Tensor:
        """Mean by weight, shape (); NaN where there was no pass."""
        if not self._values:
            return torch.tensor(float("nan"))
        if len(self._values) == 1:
            return self._values[0][0]
        total = sum(weight for _, weight in self._values)
        return torch.stack([value * (weight / total) for value, weight in self._values]).sum()
