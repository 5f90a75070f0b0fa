"""What every record carries beside its answer: the point it speaks of and what computed it."""

import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from typing import Any

import numpy as np
import torch
from torch import Tensor

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


def provenance() -> dict[str, Any]:
    """Versions of what computed a record."""
    try:
        own = metadata.version("landscape")
    except metadata.PackageNotFoundError:
        own = "not installed"
    return {
        "landscape": own,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


@contextmanager
def standing_at(objective: Objective, point: Tensor) -> Iterator[None]:
    """The objective's model stands at a point (n,), isolated and normalising as the policy says."""
    with objective._opened(point):
        yield
