"""Loss along the straight line between two minima, and its barrier: Frankle et al., ICML 2020
(arXiv 1912.05671); Entezari et al., ICLR 2022 (arXiv 2110.06296).
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from landscape.measures.context import Progress, shows_progress, signature
from landscape.measures.space.evaluate_grid import Keep, described, walk
from landscape.measures.space.points import point_at
from landscape.measures.space.sampling_error import relative_stderr
from landscape.network import batch_norm as bn
from landscape.objective.objective import Objective
from landscape.records import PathRecord


@dataclass(frozen=True)
class Path:
    """Loss and accuracy at (1 − t)·w + t·end for t from 0 to 1, and the barrier between the ends.

    barrier = max_t L(t) − ((1 − t) L(0) + t L(1)). The record holds loss and accuracy (size,).

    end: another point: a tensor (n,) as `Objective(...).w`, a module of the same architecture, its
    state dict, or a `Run`; required.
    size: points on the line, both ends included, at least 3.
    name: name of the end, for figures.

    Batch norm's statistics are re-estimated along the way, unless the objective was given a policy:
    "stored" keeps those of w and then shows barriers that are none (the record says `stale`).
    Raises ValueError for settings out of range, and for an end that is missing or of other shape
    than w.

    Example: L(w) = (9 w₁² + w₂²)/2 from (1, 1) to (−1, −1), through the minimum.

    >>> import torch
    >>> import landscape as ls
    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> model.weight.data = torch.tensor([[1.0, 1.0]])
    >>> batch = ls.Batch(torch.diag(torch.tensor([3.0, 1.0])), torch.zeros(2, 1))
    >>> mse = lambda model, batch: (model(batch.x) - batch.y).square().mean()
    >>> objective = ls.Objective(model, [batch], mse)
    >>> path = ls.measures.Path(end=-objective.w, size=3)(objective)
    >>> path.loss, path.barrier
    (array([5., 0., 5.]), 0.0)
    """

    end: Any = None
    size: int = 21
    name: str = "end"

    crosses_minima: ClassVar[bool] = True  # batch norm is re-estimated by default
    over_ranks: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.size < 3:
            raise ValueError(f"`size` must be at least 3. Got {self.size}.")

    @shows_progress
    def __call__(
        self,
        objective: Objective,
        *,
        other: Objective | None = None,
        keep: Keep = None,
        progress: Progress | None = None,
    ) -> PathRecord:
        """Evaluate the loss along the path; the options are those of `Surface`."""
        objective, other = objective.between_minima(), other and other.between_minima()
        w = objective.w
        if self.end is None:
            raise ValueError("A path needs its other `end`: on the command line, --to RUN.")
        end, t = point_at(self.end, objective), np.linspace(0.0, 1.0, self.size)
        asked = replace(self, end=end)
        found = walk(
            objective, lambda _: (partial(_between, w, end, share) for share in t.tolist()),
            (1, self.size), question={"settings": asked}, other=other, keep=keep, progress=progress,
        )  # fmt: skip
        return PathRecord(
            t=t,
            **{name: values[0] for name, values in found.items()},
            **described(found, other),
            length=float((end - w).norm()),
            end=self.name,
            stale=objective.batch_norm == "stored" and bool(bn.layers(objective.model)),
            relative_stderr=relative_stderr(objective),
            **signature(asked, objective),
        )


def _between(w: Tensor, end: Tensor, t: float, out: Tensor) -> None:
    torch.lerp(w, end, t, out=out)
