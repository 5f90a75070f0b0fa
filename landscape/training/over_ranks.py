"""Training over the ranks of a group: every rank takes its part of each batch.

Between two steps all ranks hold the same weights, optimizer and buffers.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from landscape.data import DataSet
from landscape.distributed.ranks import Ranks
from landscape.methods import MSAM
from landscape.methods.requirements import check_per_rank
from landscape.methods.walker.distributed import DistributedWalker, average
from landscape.methods.walker.walker import Walker
from landscape.network.batch import Batch, LossFn
from landscape.tasks.registry import Task
from landscape.training.evaluation import PlainEvaluation
from landscape.training.loop import Diverged, Training
from landscape.training.settings import Settings
from landscape.training.stage import whole
from landscape.utils import interrupt


class RankTraining(Training):
    """Training on one of several ranks, the same numbers on all of them.

    With `training.ascent` "global" a method is what it is in one process, dropout and batch norm
    apart: these are each rank's own. mSAM with as many shards as ranks, or a multiple, has whole
    shards on each rank, each with a climb of its own; for other numbers of shards, and inside of
    other methods, a shard is spread over the ranks. With "per-rank" each rank climbs on its part of
    the batch, so that SAM is mSAM with a shard for each rank (Behdin et al. 2023).

    Raises ValueError for a method that cannot climb per rank, and for a batch of fewer examples
    than ranks.
    """

    def __init__(self, settings: Settings, task: Task, dataset: DataSet, ranks: Ranks):
        self.ranks = ranks
        stage = whole(settings, task, dataset)
        method, ascent = stage.method, settings.training.ascent
        if ascent == "per-rank":
            check_per_rank(method)
        self.stops = False
        self._shards = 0  # whole shards of a batch, to be dealt out
        if isinstance(method, MSAM) and ascent == "global":
            self._shards = 0 if method.num_shards % ranks.size else method.num_shards
        self._spreads = ascent == "global" and not self._shards
        if task.takes_whole_batches:
            raise ValueError(
                f"The loss of {settings.task} is no mean over examples, so parts of a batch do not "
                "make up the whole. Train it in one process."
            )
        if stage.examples.size < ranks.size:
            raise ValueError(
                f"`data.batch_size` must be at least the {ranks.size} ranks. "
                f"Got {stage.examples.size}."
            )
        evaluate = PlainEvaluation(
            stage.model, task.evaluated_at_once(settings.data.batch_size), ranks=ranks
        )
        super().__init__(settings, task, dataset, replace(stage, evaluate=evaluate))

    def follow(self) -> None:
        """Train to the end, as the first rank does, and write nothing.

        Raises KeyboardInterrupt where one of the ranks was asked to stop.
        """
        with interrupt.deferred(), suppress(Diverged):
            while not self.done:
                for _ in self.run_epoch():
                    self.check_interrupt()

    def check_interrupt(self) -> None:
        """Raise KeyboardInterrupt where one of the ranks was asked to stop."""
        if self.stops:
            raise KeyboardInterrupt

    def _walker(self, loss: LossFn, **options: Any) -> Walker:
        ascent = "global" if self._spreads else "per-rank"
        return DistributedWalker(self.model, self.optimizer, loss, ascent=ascent, **options)

    def step(self, batch: Batch) -> Tensor:
        """Make one step with all ranks; return the loss over the whole batch."""
        loss = super().step(batch)
        weight = self.walker.step_weight or self._weight
        logged = {name: float(value) for name, value in sorted(self.walker.logged.items())}
        told = [float(loss), float(interrupt.is_asked()), *logged.values()]
        values = torch.tensor(told, dtype=torch.float64, device=self.device)
        mean, stops, *logs = average(values, weight).tolist()
        self.walker.log(**dict(zip(logged, logs, strict=True)))
        self.stops = stops > 0  # on all ranks alike
        self._average_buffers()
        return torch.tensor(mean, dtype=loss.dtype, device=self.device)

    def _average_buffers(self) -> None:
        buffers = [b for b in self.model.buffers() if b.is_floating_point()]
        if buffers:
            flat = torch.cat([b.flatten().float() for b in buffers])
            dist.all_reduce(flat)
            flat /= self.ranks.size
            for buffer, part in zip(buffers, flat.split([b.numel() for b in buffers]), strict=True):
                buffer.copy_(part.view_as(buffer))

    def _begun(self, batch: Batch) -> Batch:
        part = self._part(batch)
        self._weight = part.share
        self.walker.begin(batch.size if self._spreads else part.size)
        return part

    def _side(self, stream: Iterable[Batch]) -> Iterable[Batch]:
        return _Mapped(stream, self)

    def _part(self, batch: Batch) -> Batch:
        if self._spreads:
            return spread(batch, self.ranks.index, self.ranks.size)
        if self._shards:
            return dealt(batch, self._shards, self.ranks.index, self.ranks.size)
        return batch.shards(self.ranks.size)[self.ranks.index]


class _Mapped:
    """This rank's part of every batch of a stream."""

    def __init__(self, stream: Iterable[Batch], training: RankTraining):
        self._stream, self._training = stream, training

    def __iter__(self) -> Iterator[Batch]:
        return map(self._training._part, self._stream)


class SpreadBatch(Batch):
    """A rank's examples of a batch that is spread over all ranks, and so is each of its shards.

    whole: the batch. index, ranks: which of its equal parts this is.
    """

    over_ranks = True
    whole: Batch
    index: int
    ranks: int

    def shards(self, num_shards: int) -> list[Batch]:
        """This rank's part of each shard of the whole."""
        return [spread(s, self.index, self.ranks) for s in self.whole.shards(num_shards)]


def spread(batch: Batch, index: int, ranks: int) -> SpreadBatch:
    """Part `index` of a batch; ValueError for fewer examples than ranks."""
    if batch.size < ranks:
        raise ValueError(
            f"Each of {ranks} ranks needs an example of every batch, and of every shard of it. Got "
            f"{batch.size}: raise data.batch_size, or take fewer shards or ranks."
        )
    part = batch.shards(ranks)[index]
    mine = SpreadBatch(part.x, part.y, part.weight)
    for name, value in (("whole", batch), ("index", index), ("ranks", ranks)):
        object.__setattr__(mine, name, value)
    return mine


class DealtBatch(Batch):
    """A rank's whole shards of a batch, as examples in a row: `shards` cuts them apart again.

    parts: the shards; of: how many the whole batch has.
    """

    over_ranks = True
    parts: tuple[Batch, ...]
    of: int

    def shards(self, num_shards: int) -> list[Batch]:
        """This rank's shards, where as many are asked for as the whole has."""
        return list(self.parts) if num_shards == self.of else super().shards(num_shards)


def dealt(batch: Batch, num_shards: int, index: int, ranks: int) -> DealtBatch:
    """Rank `index`'s share of `num_shards` contiguous shards of a batch, a multiple of `ranks`."""
    shards = batch.shards(num_shards)
    each = num_shards // ranks
    parts = shards[index * each : (index + 1) * each]
    first = sum(shard.size for shard in shards[: index * each])
    rows = batch.rows(slice(first, first + sum(part.size for part in parts)))
    mine = DealtBatch(rows.x, rows.y, rows.weight)
    object.__setattr__(mine, "parts", tuple(parts))
    object.__setattr__(mine, "of", num_shards)
    return mine
