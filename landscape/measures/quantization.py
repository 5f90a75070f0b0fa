"""Quantisation: loss and accuracy with weights rounded to a uniform grid."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from landscape.measures.context import Progress, shows_progress, signature
from landscape.measures.space import filters
from landscape.objective.objective import Objective
from landscape.records import QuantizationRecord
from landscape.utils import checks

# Name -> the groups of weights that share one scale.
GRANULARITIES = {"tensor": filters.by_tensor, "channel": filters.by_filter}


@dataclass(frozen=True)
class Quantization:
    """Loss and accuracy with weights rounded to `bits` bits after training: symmetric, to nearest.

    w_q = s · round(w/s), s = max|w| / (2^(bits − 1) − 1), the maximum of each tensor or filter.
    Weights of linear layers and convolutions are rounded; biases, normalisation parameters, frozen
    parameters, activations and sums keep the model's own precision. The record holds loss, accuracy
    and the relative rounding error ‖w_q − w‖/‖w‖, each (bits, granularities).

    bits: bits per weight, sign included, from 2 to 32.
    granularity: weights that share a scale: those of a "tensor", or of a "channel", one filter.

    Raises ValueError for settings out of range, and for a model without weights to round.

    Example: L(w) = (9 w₁² + w₂²)/2 at w = (1, 0.4). Two bits: levels −1, 0, 1, w_q = (1, 0).

    >>> import torch
    >>> import landscape as ls
    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> model.weight.data = torch.tensor([[1.0, 0.4]])
    >>> batch = ls.Batch(torch.diag(torch.tensor([3.0, 1.0])), torch.zeros(2, 1))
    >>> mse = lambda model, batch: (model(batch.x) - batch.y).square().mean()
    >>> objective = ls.Objective(model, [batch], mse)
    >>> two_bits = ls.measures.Quantization(bits=(2,), granularity=("tensor",))(objective)
    >>> two_bits.loss.round(4)
    array([[4.5]])
    """

    bits: tuple[int, ...] = (8, 4)
    granularity: tuple[str, ...] = ("tensor", "channel")

    over_ranks: ClassVar[bool] = True

    def __post_init__(self) -> None:
        checks.typed(self)
        if not self.bits or not all(2 <= b <= 32 for b in self.bits):
            raise ValueError(f"`bits` must be whole numbers from 2 to 32. Got {self.bits}.")
        unknown = [name for name in self.granularity if name not in GRANULARITIES]
        if unknown or not self.granularity:
            known = ", ".join(GRANULARITIES)
            raise ValueError(f"`granularity` must be among {known}. Got {self.granularity}.")
        for name in ("bits", "granularity"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise ValueError(f"`{name}` must be different ones. Got {values}.")

    @shows_progress
    def __call__(
        self, objective: Objective, *, progress: Progress | None = None
    ) -> QuantizationRecord:
        """Measure at the objective's point; `progress` counts settings."""
        w, chosen = objective.w, filters.mask(objective)
        shape = len(self.bits), len(self.granularity)
        largest = [filters.largest(GRANULARITIES[g](objective), w) for g in self.granularity]
        points = [torch.where(chosen, quantized(w, m, b), w) for b in self.bits for m in largest]
        found = np.array(objective.evaluate([w, *points], expected=1 + len(points)))
        if progress is not None:
            progress(len(points), len(points))
        length = w[chosen].double().norm()
        errors = [float((p - w).double().norm() / length) for p in points]
        return QuantizationRecord(
            bits=np.array(self.bits),
            loss=found[1:, 0].reshape(shape),
            accuracy=found[1:, 1].reshape(shape),
            error=np.array(errors).reshape(shape),
            granularity=tuple(self.granularity),
            clean_loss=float(found[0, 0]),
            clean_accuracy=float(found[0, 1]),
            **signature(self, objective),
        )


def quantized(w: Tensor, largest: Tensor, bits: int) -> Tensor:
    """Round w (n,) to the nearest of 2^bits − 1 levels, ties to even.

    largest: (n,), max |w| of the group that shares a scale. Computed in float64, so that the levels
    are those of the formula. Zeros stay zero, and so does a group of zeros.
    """
    levels = 2 ** (bits - 1) - 1
    scale = largest.double() / levels
    rounded = torch.round(w.double() / scale.clamp(min=torch.finfo(torch.float64).tiny))
    return (scale * rounded).to(w)
