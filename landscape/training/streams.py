"""Streams of batches: those of the steps, and beside them held-out data and fresh batches."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch

from landscape.data import Augment, batches
from landscape.network.batch import Batch
from landscape.utils.rng import seed_of


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


class EpochStreams:
    """Streams of batches of one epoch, augmented: of the steps, and beside them held-out and fresh
    ones, which count what is drawn from them.

    Each draws from (seed, its name, epoch) alone.
    """

    def __init__(self, examples: Examples, augment: Augment | None, seed: int, epoch: int):
        self._examples, self._augment, self._seed, self._epoch = examples, augment, seed, epoch
        held_out = examples.held_out_batches(self._generator)
        self.held_out = None if held_out is None else Counted(held_out)
        self.fresh = Counted(self._augmented(examples.fresh(self._generator), "fresh"))

    def steps(self) -> Iterator[Batch]:
        """The batches of the steps."""
        return self._augmented(self._examples.batches(self._generator, self._epoch), "order")

    @property
    def drawn(self) -> dict[str, int]:
        """Number of batches of the side streams that were used."""
        return {"held_out": self.held_out.drawn if self.held_out else 0, "fresh": self.fresh.drawn}

    def _augmented(self, stream: Iterator[Batch], name: str) -> Iterator[Batch]:
        if self._augment is None:
            yield from stream
            return
        generator = self._generator(f"augment {name}")
        for batch in stream:
            yield Batch(self._augment(batch.x, generator), batch.y, batch.weight)

    def _generator(self, name: str) -> torch.Generator:
        return torch.Generator().manual_seed(seed_of(self._seed, name, self._epoch))
