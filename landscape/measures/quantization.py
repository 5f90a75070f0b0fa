"""Robustness to few bits: loss and accuracy with weights rounded to a uniform grid."""

from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor

from landscape.measures.context import Progress, point_of
from landscape.measures.space import filters
from landscape.objective.objective import Objective
from landscape.records import QuantizationRecord
from landscape.utils.environment import environment

# Name -> the number of each coordinate's group, (n,), that shares one scale.
GRANULARITIES = {"tensor": filters.by_tensor, "channel": filters.by_filter}


@dataclass(frozen=True)
class Quantization:
    """Loss and accuracy with weights rounded to `bits` bits, symmetric, nearest, after training.

    w_q = s · round(w/s), s = max|w| / (2^(bits − 1) − 1), the largest over each tensor or each
    filter. Simulated: what is computed with w_q is computed in the model's own precision, so
    activations and sums are not rounded. Weights of linear layers and convolutions only; biases and
    normalisation parameters keep their precision, as they do on such hardware. Frozen parameters
    are no part of w and stay as well.

    bits: of each weight, its sign included, at least 2; one setting each.
    granularity: whose weights share a scale: "tensor" or "channel", a filter.

    Raises ValueError for settings out of range, and where the model has nothing to round.
    """

    bits: tuple[int, ...] = (8, 4)
    granularity: tuple[str, ...] = ("tensor", "channel")

    def __post_init__(self) -> None:
        if not self.bits or not all(b == int(b) and 2 <= b <= 32 for b in self.bits):
            raise ValueError(f"`bits` must be whole numbers from 2 to 32. Got {self.bits}.")
        unknown = [name for name in self.granularity if name not in GRANULARITIES]
        if unknown or not self.granularity:
            known = ", ".join(GRANULARITIES)
            raise ValueError(f"`granularity` must be among {known}. Got {self.granularity}.")
        for name in ("bits", "granularity"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise ValueError(f"`{name}` must be different ones. Got {values}.")

    def __call__(
        self, objective: Objective, *, progress: Progress | None = None
    ) -> QuantizationRecord:
        """Ask it of the objective's point; `progress` counts settings."""
        w, chosen = objective.w, filters.mask(objective)
        shape = len(self.bits), len(self.granularity)
        points = [
            torch.where(chosen, quantized(w, GRANULARITIES[name](objective), b), w)
            for b in self.bits
            for name in self.granularity
        ]
        found = np.array(objective.evaluate([w, *points]))
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
            point=point_of(objective),
            settings=asdict(self),
            provenance=environment(),
        )


def quantized(w: Tensor, groups: Tensor, bits: int) -> Tensor:
    """w (n,) on the nearest of 2^bits − 1 levels, even ones for ties; groups (n,) share a scale.

    In float64, so that the levels themselves are those of the stated formula. Zeros stay zero, and
    so does a group of nothing else.
    """
    levels = 2 ** (bits - 1) - 1
    scale = filters.largest(groups, w).double() / levels
    rounded = torch.round(w.double() / scale.clamp(min=torch.finfo(torch.float64).tiny))
    return (scale * rounded).to(w)
