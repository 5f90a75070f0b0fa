"""Streams of batches: those of the steps, and beside them held-out data and fresh batches."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Examples:
    """Examples of a training, and the batches that it draws from them in an epoch.

    train, held_out: all of them; size: of a step's batch. `draw` is the generator of a name in the
    epoch, as order and augmentation have it.
    """

    train: Batch
    held_out: Batch
    size: int

    @property
    def steps_per_epoch(self) -> int:
        """Number of whole batches."""
        return self.train.size // self.size

    def batches(self, draw: Callable[[str], torch.Generator], epoch: int) -> Iterator[Batch]:
        """The batches of the steps, each example once, a last part left out."""
        return batches(self.train, self.size, generator=draw("order"), drop_last=True)

    def fresh(self, draw: Callable[[str], torch.Generator]) -> Iterator[Batch]:
        """Further training batches without end."""
        return endless(Shuffled(self.train, self.size, draw("fresh")))

    def held_out_batches(self, draw: Callable[[str], torch.Generator]) -> Iterable[Batch] | None:
        """Batches of the held-out examples, None where there are none."""
        if not self.held_out.size:
            return None
        return Shuffled(self.held_out, self.size, draw("held-out"))
