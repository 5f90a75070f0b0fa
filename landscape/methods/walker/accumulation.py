"""Gradient accumulation: several batches that count as one and go through the model one by one."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from landscape.network.batch import Batch, as_batch

TWO_WAYS = (
    "Two {} may be two micro-batches or one batch (x, y). "
    "Say which: [Batch(x1, y1), Batch(x2, y2)] or Batch(x, y)."
)


class MicroBatches(Batch):
    """Union of batches: a mean over it is the mean of theirs, by weight.

    A method treats it as one large batch: each of its passes goes over all parts at one point.
    Memory is that of the largest part. In train mode batch norm normalises each part by itself and
    moves its running statistics once a part.
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
        """Cut the union into `num_shards` contiguous shards, sizes at most one apart.

        A shard that reaches over the edge of a part is made of micro-batches itself.
        """
        indices = Batch(torch.arange(self.size), None).shards(num_shards)
        return [self._rows(int(shard.x[0]), int(shard.x[-1]) + 1) for shard in indices]

    def stacked(self, num_shards: int) -> tuple[Any, Any]:
        """Raise ValueError: the parts go through the model one by one."""
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
    """Return one batch: a single one as it is, several as their union.

    data: a Batch, a pair (x, y), a mapping; or a list, tuple or iterator of several of these.
    An iterator is always several. Two mappings with the same keys in a list are two batches, with
    other keys they are x and y, as a DataLoader yields them.

    Raises ValueError for anything else, and for what can be read in two ways, such as
    [(a, b), (c, d)].
    """
    if isinstance(data, Iterator):
        batches = [as_batch(item) for item in data]
        if not batches:
            raise ValueError("The iterator of micro-batches must give at least one. Got none.")
        return MicroBatches(batches)
    if not isinstance(data, list | tuple) or not data or hasattr(data, "_fields"):
        return as_batch(data)
    if not _are_several(data):
        _refuse_nested(data)
        return as_batch(data)
    return MicroBatches([as_batch(item) for item in data])


def _are_several(data: Sequence[Any]) -> bool:
    """Tell several batches from the two halves (x, y) of one; raises where both are possible."""
    if any(isinstance(item, Batch) for item in data):
        return True
    if all(isinstance(item, Mapping) for item in data):
        keys = [set(item) for item in data]
        if len(data) != 2 or (keys[0] == keys[1] and isinstance(data, list)):
            return True
        if keys[0] & keys[1]:
            raise ValueError(TWO_WAYS.format("mappings"))
        return False
    if all(isinstance(item, list | tuple) and len(item) == 2 for item in data):
        if len(data) == 2:
            raise ValueError(TWO_WAYS.format("pairs"))
        return True
    if len(data) == 2 and _alike(*data) and not isinstance(data[0], Tensor):
        raise ValueError(TWO_WAYS.format("sequences of equal length"))
    return False


def _alike(a: Any, b: Any) -> bool:
    """Test whether two trees differ in nothing but the numbers and sizes of their tensors."""
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return a.dtype == b.dtype and a.dim() == b.dim()
    if isinstance(a, PackedSequence) or type(a) is not type(b):
        return False
    if isinstance(a, Mapping):
        return a.keys() == b.keys() and all(_alike(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(_alike, a, b))
    return True


def _refuse_nested(data: Sequence[Any]) -> None:
    for item in data:
        if isinstance(item, list | tuple) and any(isinstance(inner, Batch) for inner in item):
            raise ValueError("Micro-batches must be one flat list. Got a list of lists of them.")


def weighted_parts(batch: Batch) -> list[tuple[Batch, float | None]]:
    """Return the parts of a union with their weights share_j/share; any other batch with None."""
    if not isinstance(batch, MicroBatches):
        return [(batch, None)]
    return [(part, part.share / batch.share) for part in batch.parts]


def averaged(batch: Batch, of: Callable[[Batch], Tensor]) -> Tensor:
    """Return Σ_j (share_j/share) of(part_j) over the parts; of(batch) where there are none."""
    total: Any = None
    for part, weight in weighted_parts(batch):  # one by one: memory is that of one part
        mean = of(part) if weight is None else of(part) * weight
        total = mean if total is None else total + mean
    return cast(Tensor, total)


def whole_of(batch: Batch) -> Batch:
    """Return the batch that this one is a rank's part of; itself in one process."""
    whole: Batch = getattr(batch, "whole", batch)
    return whole


def share_of(batch: Batch | None) -> float:
    """Weight of a batch; 1 for test objectives that need no data."""
    return 1.0 if batch is None else batch.share
