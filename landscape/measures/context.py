"""What every record carries beside its answer: the point it speaks of and what computed it."""

from collections.abc import Callable

from landscape.objective import Objective
from landscape.records import Point

Progress = Callable[[int, int], None]  # (done, total); the total may be an upper limit


def point_of(objective: Objective, split: str = "given") -> Point:
    """Where the objective stands, and on which data. Costs one gradient, once per objective."""
    summary = objective.summary
    return Point(
        loss=summary.loss,
        grad_norm=summary.grad_norm,
        w_norm=summary.w_norm,
        n=objective.weights.n,
        examples=objective.examples,
        split=split,
        batch_norm=objective.batch_norm,
        dtype=str(objective.w.dtype).removeprefix("torch."),
        device=str(objective.device),
        fingerprint=objective.fingerprint,
    )
