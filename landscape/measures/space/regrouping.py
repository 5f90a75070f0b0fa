"""The same examples in batches of another size."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_sequence, unpack_sequence

from landscape.distributed.ranks import ALONE, Alone
from landscape.network.batch import Batch, has_entries, tensors


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
