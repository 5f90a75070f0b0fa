"""Streams of batches beside the step's own: held-out data, and fresh training batches."""

from collections.abc import Iterable, Iterator

import torch

from landscape.data import batches
from landscape.network.batch import Batch


class Shuffled:
    """Whole batches of the same examples, in a new order each time they are asked for.

    size: of a batch; all the examples where they are fewer.
    """

    def __init__(self, batch: Batch, size: int, generator: torch.Generator):
        self._batch, self._size, self._generator = batch, min(size, batch.size), generator

    def __iter__(self) -> Iterator[Batch]:
        return batches(self._batch, self._size, generator=self._generator, drop_last=True)


def endless(source: Iterable[Batch]) -> Iterator[Batch]:
    """The batches of an iterable, again and again."""
    while True:
        yield from source


class Counted:
    """An iterable of batches that knows how many were drawn, over all its rounds."""

    def __init__(self, source: Iterable[Batch]):
        self._source, self.drawn = source, 0

    def __iter__(self) -> Iterator[Batch]:
        for batch in self._source:
            self.drawn += 1
            yield batch
