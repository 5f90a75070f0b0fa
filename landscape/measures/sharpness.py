"""Sharpness at a radius: the rise of a batch's loss in a ball around w, a lower bound.

m-sharpness: Foret, Kleiner, Mobahi, Neyshabur, ICLR 2021 (arXiv 2010.01412), section 4.1; the
adaptive ball: Kwon, Kim, Park, Choi, ICML 2021 (arXiv 2102.11600).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_sequence, unpack_sequence

from landscape.distributed.ranks import ALONE, Alone
from landscape.linalg import probes
from landscape.measures.context import Progress, refuse_reestimated, shows_progress, signature
from landscape.measures.space import ball_ascent, ball_norms
from landscape.network.batch import Batch, has_entries, tensors
from landscape.objective.derivative import derivative, total
from landscape.objective.objective import Objective
from landscape.objective.reduction import can_be_regrouped
from landscape.records import SharpnessRecord

RULES = ("sam", "asam")


@dataclass(frozen=True)
class Sharpness:
    """m-sharpness S_ρ: mean over batches B of max L_B(w + e) − L_B(w) over ‖e/T‖ ≤ ρ.

    A lower bound: the largest rise of all starts and steps within the radius. The first step,
    e = ρ T²g/‖Tg‖, is the one that SAM and ASAM take in training; the record holds its rise, too.
    Sharpness is (radii, batches), in the unit of the loss.

    radii: radii ρ, rising, in units of T; by default 0.05 times 1/2, 1, 2, 4, 8. Radii for "asam"
    are about ten times larger.
    m: largest number of examples in a batch. The objective's batches are cut to it, or joined first
    where all are smaller. Smaller batches are sharper: compare at one m only. A loss that is no
    mean over examples keeps the batches it is given, whatever m.
    rule: "sam", T = 1; "asam", T = |w| + eta in tensors called weight, else 1, as in training.
    steps: ascent steps from each start.
    restarts: further starts, random points of the sphere, the same for every batch and every model
    of one shape. One step without restarts is the sharpness that SAM sees: 0 at a stationary point,
    whatever its curvature.
    eta: added to |w| by "asam".
    seed: seed of the random starts.

    Defaults are the project's own protocol; eta is that of ASAM's class.
    Cost: one gradient and one loss evaluation per radius for one step without restarts; else about
    (1 + restarts) · steps of each.
    Raises ValueError for settings out of range.

    Example: L(w) = (9 w₁² + w₂²)/2 at w = (1, 0): the largest rise is L(2, 0) − L(1, 0).

    >>> import torch
    >>> import landscape as ls
    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> model.weight.data = torch.tensor([[1.0, 0.0]])
    >>> batch = ls.Batch(torch.diag(torch.tensor([3.0, 1.0])), torch.zeros(2, 1))
    >>> mse = lambda model, batch: (model(batch.x) - batch.y).square().mean()
    >>> objective = ls.Objective(model, [batch], mse)
    >>> ls.measures.Sharpness(radii=(1.0,))(objective).mean.round(4)
    array([13.5])
    """

    radii: tuple[float, ...] = (0.025, 0.05, 0.1, 0.2, 0.4)
    m: int = 100
    rule: str = "sam"
    steps: int = 10
    restarts: int = 1
    eta: float = 0.01
    seed: int = 0

    over_ranks: ClassVar[bool] = True

    def __post_init__(self) -> None:
        ball_ascent.check(self.radii, self.steps, self.restarts)
        if self.m < 1:
            raise ValueError(f"`m` must be at least 1. Got {self.m}.")
        if self.rule not in RULES:
            raise ValueError(f"`rule` must be one of {', '.join(RULES)}. Got {self.rule!r}.")
        if not self.eta >= 0:
            raise ValueError(f"`eta` must be non-negative. Got {self.eta}.")

    @shows_progress
    def __call__(
        self, objective: Objective, *, progress: Progress | None = None
    ) -> SharpnessRecord:
        """Search around the objective's point; `progress` counts batches."""
        refuse_reestimated(objective, "Sharpness")
        ranks, w, batches = objective.ranks, objective.w, list(objective.risk.given)
        if ranks.all(objective.retry_on_oom(lambda: can_be_regrouped(objective.risk))):
            batches = regrouped(batches, self.m, objective.risk.counts, ranks)
        objective, whole = objective.alone(), objective  # each batch is one rank's
        t = adaptive(objective, self.eta) if self.rule == "asam" else torch.ones_like(w)
        starts = [ball_norms.unit(xi) for xi in probes.gaussians(w, self.restarts, self.seed)]
        loss = np.empty(len(batches))
        rise = np.empty((2, len(self.radii), len(batches)))
        for b, batch in enumerate(batches):
            hill = around(objective, batch, t)
            centre = hill.at(torch.zeros_like(w))
            loss[b] = centre.height
            walk = ball_ascent.walk(hill, centre, self.radii, self.steps, starts)
            for i, reached in enumerate(walk):
                rise[:, i, b] = reached.best.height, reached.first
            if progress is not None:
                progress(b + 1, len(batches))
        shares = np.array([batch.share for batch in batches])
        answers = zip(*ranks.gather((loss, rise, shares)), strict=True)
        loss, rise, shares = (np.concatenate(of_ranks, -1) for of_ranks in answers)
        return SharpnessRecord(
            radii=np.array(self.radii),
            sharpness=rise[0] - loss,
            one_step=rise[1] - loss,
            loss=loss,
            share=shares,
            rule=self.rule,
            **signature(self, whole),
        )


def adaptive(objective: Objective, eta: float) -> Tensor:
    """T = |w| + η in tensors whose own name says weight, 1 in the others, (n,)."""
    t = objective.w.abs() + eta
    for name, part in objective.layers.items():
        if "weight" not in name.rpartition(".")[2]:
            t[part] = 1.0
    return t


def around(objective: Objective, batch: Batch, t: Tensor) -> ball_ascent.Hill:
    """L_B(w + T u) of one batch and its gradient by u, normalising as the objective does."""
    w, risk = objective.w, objective.risk

    def losses() -> Iterator[Tensor]:
        for piece in risk.pieces(batch):
            yield piece.size / batch.size * risk.batch_loss(piece)

    def height(u: Tensor) -> float:
        def ask() -> float:
            with risk.opened(w + t * u):
                return total(loss.detach() for loss in losses()).item()

        return objective.retry_on_oom(ask)

    def slope(u: Tensor) -> Tensor:
        def ask() -> Tensor:
            at = (w + t * u).requires_grad_()
            with risk.opened(at):
                return t * total(derivative(loss, at, None) for loss in losses())

        return objective.retry_on_oom(ask)

    return ball_ascent.Hill(height, slope)


def regrouped(
    batches: Sequence[Batch],
    m: int,
    counts: Sequence[tuple[int, float]] = (),
    ranks: Alone = ALONE,
) -> list[Batch]:
    """Regroup the same examples, in the same order, into batches of at most m, about equal in size.

    counts: number of examples and weight of each batch of all ranks. Examples of a batch that
    reaches over several ranks go to the one that holds its first.

    Raises ValueError for batches that have to be joined and differ in shape.
    """
    counts = counts or [(batch.size, batch.share) for batch in batches]
    if len(counts) > 1 and all(size < m for size, _ in counts):
        batches = [_joined(batches, m)]
        if ranks.size > 1:
            return _across_ranks(batches[0], m, counts, ranks)
    return [part for batch in batches for part in batch.shards(-(-batch.size // m))]


def _across_ranks(
    mine: Batch, m: int, counts: Sequence[tuple[int, float]], ranks: Alone
) -> list[Batch]:
    """This rank's batches of those that the examples of all ranks make, of at most m."""
    n, weight = (sum(column) for column in zip(*counts, strict=True))
    starts = [0, *accumulate(ranks.gather(mine.size))]
    first, pieces = starts[ranks.index], -(-int(n) // m)
    given: list[tuple[int, int, Batch]] = []  # number of the batch, its rank, examples for it
    for j in range(pieces):
        begin, end = int(n) * j // pieces, int(n) * (j + 1) // pieces
        low, high = max(begin - first, 0), min(end - first, mine.size)
        if low < high:
            owner = next(r for r in range(ranks.size) if begin < starts[r + 1])
            given.append((j, owner, mine.rows(slice(low, high))))
    device = next(iter(tensors(mine.x))).device
    away = [(j, owner, batch.to("cpu")) for j, owner, batch in given if owner != ranks.index]
    parts: dict[int, list[Batch]] = {}
    for j, owner, batch in [*given, *(p for of_rank in ranks.gather(away) for p in of_rank)]:
        if owner == ranks.index:
            parts.setdefault(j, []).append(batch.to(device))
    whole = [_joined(batches, m) if len(batches) > 1 else batches[0] for batches in parts.values()]
    return [replace(batch, weight=weight * batch.size / n) for batch in whole]


def _joined(batches: Sequence[Batch], m: int) -> Batch:
    try:
        x, y = (_cat([getattr(batch, name) for batch in batches]) for name in ("x", "y"))
    except RuntimeError as error:
        raise ValueError(
            f"Batches of different shapes cannot be joined to `m` = {m} examples ({error}). "
            f"Set `m` to at most {max(batch.size for batch in batches)}."
        ) from None
    return Batch(x, y, sum(batch.share for batch in batches))


def _cat(trees: list[Any]) -> Any:
    """Nested tensors of one form, joined along their rows."""
    first = trees[0]
    if isinstance(first, Tensor):
        return torch.cat(trees)
    if isinstance(first, PackedSequence):
        sequences = [one for packed in trees for one in unpack_sequence(packed)]
        return pack_sequence(sequences, enforce_sorted=False)
    if isinstance(first, np.ndarray):
        return np.concatenate(trees)
    if has_entries(first):
        return type(first)(entry for tree in trees for entry in tree)
    if isinstance(first, Mapping):
        return {key: _cat([tree[key] for tree in trees]) for key in first}
    if isinstance(first, tuple | list):
        items = [_cat(list(parts)) for parts in zip(*trees, strict=True)]
        return type(first)(*items) if hasattr(first, "_fields") else type(first)(items)
    return first
