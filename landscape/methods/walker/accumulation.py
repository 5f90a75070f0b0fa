"""Gradient accumulation: several batches that count as one and go through the model one by one."""

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor

from landscape.network.batch import Batch, as_batch


class MicroBatches(Batch):
    """The union of batches: a mean over it is the mean of theirs, by weight.

    What a method does with a batch (climb, descend, measure) it does with all examples of the
    union, each time at one point, as with one large batch; memory is that of the largest part. In
    train mode batch norm normalises each part by itself and moves its running statistics once a
    part.
    """

    parts: tuple[Batch, ...]

    def __init__(self, parts: Sequence[Batch]):
        super().__init__(tuple(p.x for p in parts), tuple(p.y for p in parts))
        object.__setattr__(self, "parts", tuple(parts))

    @property
    def size(self) -> int:
        """Number of examples of all parts."""
        return sum(part.size for part in self.parts)

    @property
    def share(self) -> float:
        """Weight of all parts."""
        return sum(part.share for part in self.parts)

    def shards(self, num_shards: int) -> list[Batch]:
        """`num_shards` contiguous parts of the union, sizes at most one apart; one that reaches
        over the edge of a part is made of micro-batches itself.
        """
        indices = Batch(torch.arange(self.size), None).shards(num_shards)
        return [self._rows(int(shard.x[0]), int(shard.x[-1]) + 1) for shard in indices]

    def stacked(self, num_shards: int) -> tuple[Any, Any]:
        """Not here: parts are there to be gone through one by one."""
        raise ValueError("Micro-batches cannot be stacked. Go through `shards` instead.")

    def to(self, device: torch.device | str) -> "MicroBatches":
        """The same parts on another device."""
        return MicroBatches([part.to(device) for part in self.parts])

    def _rows(self, start: int, end: int) -> Batch:
        pieces, before = [], 0
        for part in self.parts:
            a, b = max(start - before, 0), min(end - before, part.size)
            if a < b:
                pieces.append(part.rows(slice(a, b)))
            before += part.size
        return pieces[0] if len(pieces) == 1 else MicroBatches(pieces)


def gathered(data: Any) -> Batch:
    """A batch from itself, from a pair (x, y), or from a list of several of these, its union.

    Raises ValueError for anything else, and for [(a, b), (c, d)], which can be read in two ways.
    """
    if not isinstance(data, list | tuple) or not data:
        return as_batch(data)
    several = any(isinstance(item, Batch) for item in data)
    if not several and all(isinstance(item, list | tuple) and len(item) == 2 for item in data):
        if len(data) == 2:
            raise ValueError(
                "Two pairs may be two micro-batches or one batch (x, y) of pairs. "
                "Say which: [Batch(x1, y1), Batch(x2, y2)] or Batch(x, y)."
            )
        several = True
    return MicroBatches([as_batch(item) for item in data]) if several else as_batch(data)


def weighted_parts(batch: Batch) -> list[tuple[Batch, float | None]]:
    """The parts of a union with their weights share_j/share; any other batch with None."""
    if not isinstance(batch, MicroBatches):
        return [(batch, None)]
    return [(part, part.share / batch.share) for part in batch.parts]


def averaged(batch: Batch, of: Callable[[Batch], Tensor]) -> Tensor:
    """Σ_j (share_j/share) of(part_j) over the parts of a union; of(batch) for any other batch."""
    total: Any = None
    for part, weight in weighted_parts(batch):  # one by one: memory is that of one part
        mean = of(part) if weight is None else of(part) * weight
        total = mean if total is None else total + mean
    return cast(Tensor, total)
