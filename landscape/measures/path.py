"""Loss along a line or a curve between two minima, and its barrier: Frankle et al., ICML 2020
(arXiv 1912.05671); Entezari et al., ICLR 2022 (arXiv 2110.06296).
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from landscape.measures.connection.bezier import CurveTraining, curve_length, on_curve
from landscape.measures.connection.weight_matching import WeightMatching
from landscape.measures.context import Progress, shows_progress, signature, unless_default
from landscape.measures.rows.shared_rows import Keep
from landscape.measures.space import arithmetic
from landscape.measures.space.evaluate_grid import described, walk
from landscape.measures.space.points import point_at
from landscape.measures.space.sampling_error import relative_stderr
from landscape.network import batch_norm as bn
from landscape.objective.objective import Objective
from landscape.objective.point_passes import Point
from landscape.records import Array, PathRecord
from landscape.utils import checks

SHAPES = ("line", "bezier")


@dataclass(frozen=True)
class Path:
    """Loss and accuracy at (1 − t)·w + t·end for t from 0 to 1, or on a curve, and the barrier
    between the ends.

    barrier = max_t L(t) − ((1 − t) L(0) + t L(1)). The record holds loss and accuracy (size,).

    end: another point: a tensor (n,) as `Objective(...).w`, a module of the same architecture, its
    state dict, or a `Run`; required.
    size: points on the line, both ends included, at least 3.
    name: name of the end, for figures.
    match: permute the hidden neurons of the end to those of w first, which leaves its function as
    it is: see `WeightMatching`. The barrier of the line to the end as it was stands beside.
    shape: "line"; or "bezier", a quadratic Bezier curve whose bend is trained for a low mean loss,
    with the line beside it. Its barrier is an upper bound of the best curve's.
    epochs, batch_size, lr, weight_decay, seed: of the curve's training, by SGD with momentum 0.9
    (`landscape.measures.connection.bezier`). lr: 0.3 times the endpoints' own is a good start.
    precision: of the points: "ieee", "tf32" on CUDA, "bf16" by autocast, or "auto", which is ieee.
    Refused where some points are off by more than precision_tolerance, a share of the loss.

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
    match: bool = False
    shape: str = "line"
    epochs: int = 30
    batch_size: int = 128
    lr: float = 0.03
    weight_decay: float = 0.0
    seed: int = 0
    precision: str = unless_default("auto")
    precision_tolerance: float = unless_default(arithmetic.TOLERANCE)

    crosses_minima: ClassVar[bool] = True  # batch norm is re-estimated by default
    over_ranks: ClassVar[bool] = True

    def __post_init__(self) -> None:
        checks.typed(self)
        checks.at_least(3, size=self.size)
        checks.one_of(SHAPES, shape=self.shape)
        checks.at_least(1, epochs=self.epochs, batch_size=self.batch_size)
        checks.positive(lr=self.lr)
        checks.non_negative(weight_decay=self.weight_decay)
        arithmetic.check(self)

    @property
    def splits_into(self) -> str:
        """The points of a line; a curve stays whole: its training is nearly all of the work."""
        return "points" if self.shape == "line" else ""

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
        if objective.ranks.size > 1 and (self.match or self.shape != "line"):
            raise ValueError("Over ranks a path is a line to an end as it is: no shape, no match.")
        given, t = point_at(self.end, objective), np.linspace(0.0, 1.0, self.size)
        end = WeightMatching(seed=self.seed).matched(objective, given) if self.match else given
        asked, bend = replace(self, end=given), (w + end) / 2
        place = partial(_between, w, end)
        if self.shape == "bezier":
            bend = self._bend(objective, w, end, progress)
            place = partial(_on_curve, w, bend, end)
        shape = self.size, 1

        def points(i: int) -> list[Point]:
            return [partial(place, float(t[i]))]

        used = arithmetic.computed(self, objective, other, points, shape)
        found = walk(
            used.objective, points, shape, question={"settings": asked},
            other=used.other, keep=keep,
            progress=progress and (lambda done, size: progress(self._trained + done,
                                                               self._trained + size)),
        )  # fmt: skip
        beside: dict[str, Any] = {name: values[:, 0] for name, values in found.items()}
        if self.shape == "bezier":
            beside["straight_loss"] = self._line(used.objective, w, end, t)
            beside["curve_length"] = curve_length(w, bend, end)
            beside["bend"] = float((bend - (w + end) / 2).norm())
        if self.match:
            beside["unmatched_loss"] = self._line(used.objective, w, given, t)
            beside["unmatched_length"] = float((given - w).norm())
        return PathRecord(
            t=t,
            **described(found, other),
            **used.describe(),
            length=float((end - w).norm()),
            end=self.name,
            stale=objective.batch_norm == "stored" and bool(bn.layers(objective.model)),
            relative_stderr=relative_stderr(objective),
            shape=self.shape,
            matched=self.match,
            **beside,
            **signature(asked, objective),
        )

    @property
    def _trained(self) -> int:
        """Share of the curve's training in the progress: an epoch for a pass over it."""
        return self.size * self.epochs if self.shape == "bezier" else 0

    def _bend(
        self, objective: Objective, w: Tensor, end: Tensor, progress: Progress | None
    ) -> Tensor:
        if objective.batch_norm == "stored" and bn.layers(objective.model):
            raise ValueError(
                "A curve needs batch norm that fits its points. Got the stored statistics: leave "
                'out the policy, or choose "reestimated".'
            )

        def told(epoch: int) -> None:
            if progress is not None:
                progress(epoch * self.size, self._trained + self.size)

        training = CurveTraining(
            self.epochs, self.batch_size, self.lr, self.weight_decay, self.seed
        )
        return training.bend(objective, w, end, told)

    def _line(self, objective: Objective, w: Tensor, end: Tensor, t: Array) -> Array:
        points = [partial(_between, w, end, share) for share in t.tolist()]
        return np.array(objective.evaluate(points, expected=self.size))[:, 0]


def _on_curve(w: Tensor, bend: Tensor, end: Tensor, t: float, out: Tensor) -> None:
    out.copy_(on_curve(w, bend, end, t))


def _between(w: Tensor, end: Tensor, t: float, out: Tensor) -> None:
    torch.lerp(w, end, t, out=out)
