"""Batches that a method may ask for beside the step's own: held-out and fresh ones."""

from collections.abc import Iterable, Iterator
from typing import Any

import torch

from landscape.network.batch import Batch, as_batch

MISSING = {
    "held_out": "This method needs held-out data. Pass held_out=, a list of batches "
    "(or a DataLoader) that are neither training nor test data.",
    "fresh": "This method needs fresh training batches. Pass fresh=, an endless iterator of them.",
}


class SideData:
    """Held-out batches (a re-iterable, cycled) and fresh training batches; None: there are none."""

    def __init__(self, held_out: Iterable[Batch] | None, fresh: Iterator[Batch] | None):
        self._held_out, self._fresh = held_out, fresh
        self._stream: Iterator[Batch] = iter(())

    def held_out(self) -> Batch:
        """Return the next batch of held-out data."""
        batch = next(self._stream, None)
        if batch is None:
            if self._held_out is None:
                raise ValueError(MISSING["held_out"])
            self._stream = iter(self._held_out)
            batch = next(self._stream, None)
        if batch is None:
            raise ValueError("`held_out` must hold at least one batch. Got none.")
        return batch

    def fresh(self) -> Batch:
        """Return a further training batch, drawn independently of the step's own."""
        batch = None if self._fresh is None else next(self._fresh, None)
        if batch is None:
            raise ValueError(MISSING["fresh"])
        return batch


class Resumable:
    """Batches on a device that can be iterated again, and from the middle.

    position: number of batches given in this round.
    """

    def __init__(self, batches: Iterable[Any], device: torch.device):
        self.batches, self.device, self.position = batches, device, 0

    def __iter__(self) -> Iterator[Batch]:
        start, count = self.position, 0
        for count, batch in enumerate(self.batches, 1):
            if count > start:
                self.position = count
                yield as_batch(batch).to(self.device)
        self.position = 0
        if 0 < count <= start:  # it was resumed at the very end of a round
            yield from self
