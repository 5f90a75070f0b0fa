"""Batches of one task of a sequence, with remembered examples of earlier tasks beside the new ones.

From the second task on a step is one batch of B new and B remembered examples, shuffled, so that
its loss is the mean over 2B and no method has to know. Held-out data are mixed in the same way.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from landscape.data import batches
from landscape.lifelong.memory import Memory, drawn
from landscape.lifelong.sequence import TaskSequence
from landscape.network.batch import Batch
from landscape.training.streams import Examples, Shuffled

Draw = Callable[[str], torch.Generator]


@dataclass(frozen=True)
class TaskExamples(Examples):
    """Examples of task number `index`, from 0, and the memory of the tasks before it.

    In the first epoch the memory is offered every new example, after the step's remembered ones
    were drawn. What goes beside the steps, fresh and held-out batches, knows the memory as it was
    at the start of the epoch: so an epoch that goes on in its middle draws the same again.
    """

    sequence: TaskSequence
    memory: Memory
    index: int

    def batches(self, draw: Draw, epoch: int) -> Iterator[Batch]:
        """The batches of the steps: B new examples, each once, and B remembered ones."""
        remembered = draw("replay")
        for new in self._numbers(draw("order")):
            rows = self._mixed(new, self.memory.rows, remembered)
            if epoch == 0:
                self.memory.offer(new, remembered)
            yield self.sequence.all_train.rows(rows)

    def fresh(self, draw: Draw) -> Iterator[Batch]:
        """Further training batches without end."""
        order, remembered, known = draw("fresh"), draw("fresh replay"), self.memory.rows

        def rounds() -> Iterator[Batch]:
            while True:
                for new in self._numbers(order):
                    yield self.sequence.all_train.rows(self._mixed(new, known, remembered))

        return rounds()

    def held_out_batches(self, draw: Draw) -> Iterable[Batch] | None:
        """Batches of held-out examples, those of tasks in the memory in its proportions."""
        if not self.held_out.size:
            return None
        own = Shuffled(self.held_out, self.size, draw("held-out"))
        remembered, pool = draw("held-out replay"), self._held_out_pool()
        if not len(pool):
            return own
        return _Joined(own, lambda batch: self._joined(batch, pool, remembered))

    def _numbers(self, generator: torch.Generator) -> Iterator[Tensor]:
        """Rows of the new examples of each step, in the order of a plain training."""
        rows = torch.arange(self.train.size) + sum(self.sequence.sizes[: self.index])
        each = batches(Batch(rows, rows), self.size, generator=generator, drop_last=True)
        return (batch.x for batch in each)

    def _mixed(self, new: Tensor, known: Tensor, generator: torch.Generator) -> Tensor:
        if self.index == 0 or not len(known):
            return new
        rows = torch.cat([new, drawn(known, len(new), generator)])
        return rows[torch.randperm(len(rows), generator=generator)]

    def _held_out_pool(self) -> Tensor:
        """Task of each remembered example, (k,), of the tasks that have held-out examples."""
        if self.index == 0:
            return torch.empty(0, dtype=torch.int64)
        tasks = self.sequence.all_train.x["task"].cpu()[self.memory.rows]
        sizes = torch.tensor([batch.size for batch in self.sequence.held_out])
        return tasks[sizes[tasks] > 0]

    def _joined(self, own: Batch, pool: Tensor, generator: torch.Generator) -> Batch:
        sizes = torch.tensor([batch.size for batch in self.sequence.held_out])
        tasks = pool[torch.randint(len(pool), (own.size,), generator=generator)]
        within = (torch.rand(own.size, generator=generator) * sizes[tasks]).long()
        rows = sizes.cumsum(0)[tasks] - sizes[tasks] + within
        other = self.sequence.all_held_out.rows(rows)
        x = {name: torch.cat([own.x[name], other.x[name]]) for name in own.x}
        return Batch(x, torch.cat([own.y, other.y]))


class _Joined:
    """An iterable of batches, each changed, in every round anew."""

    def __init__(self, source: Iterable[Batch], change: Callable[[Batch], Batch]):
        self._source, self._change = source, change

    def __iter__(self) -> Iterator[Batch]:
        return map(self._change, self._source)
