"""The first passes of an objective: a function that answers differently twice is refused."""

import torch
from torch import Tensor

from landscape.network.higher_order import reentrant_checkpoints_heard
from landscape.objective.empirical_risk import EmpiricalRisk


def check(risk: EmpiricalRisk) -> None:
    """Notice reentrant checkpoints, and compare two passes over the first batch.

    Dropout left on, or any other source of randomness, would make every curvature wrong.
    Raises ValueError where the passes differ.
    """

    def answer(seed: int) -> Tensor:
        with torch.no_grad(), risk.opened(risk.w, seed):
            return risk.batch_loss(risk.batches[0])

    with reentrant_checkpoints_heard() as warned:
        one, other = answer(1), answer(2)
    risk.reentrant = bool(warned)
    if not torch.isclose(one, other, rtol=1e-4, atol=0.0, equal_nan=True):
        raise ValueError(
            "The model answers differently twice on the same batch. "
            "Switch off what is random in it (dropout that ignores eval mode, sampling)."
        )
