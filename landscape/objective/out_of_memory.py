"""When memory runs out: the same mean over the same examples, in smaller batches."""

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor

from landscape.network import batch_norm
from landscape.network.batch import Batch, rows_of, scalar

if TYPE_CHECKING:
    from landscape.objective.curvature_products import Products
    from landscape.objective.objective import Objective

Found = TypeVar("Found")
ALLOCATORS = ("not enough memory", "can't allocate memory")  # of torch on the CPU


class Room:
    """Runs an objective's passes; makes room and runs them again where memory runs out."""

    def __init__(self, objective: "Objective"):
        self.objective = objective
        self._is_split, self._is_checked = False, True

    def __call__(self, ask: Callable[[], Found], products: "list[Products]") -> Found:
        """ask(); where memory runs out again, first without kept graphs, then with halved batches.

        Raises ValueError where the batches cannot be split.
        """
        while True:
            try:
                self._check()
                return ask()
            except (RuntimeError, MemoryError) as error:
                if not ran_out(error):
                    raise
            # Outside of the clause, because the error holds the tensors of its pass.
            if not any(some.let_go() for some in products):
                self._halve()
            if self.objective.device.type == "cuda":
                torch.cuda.empty_cache()

    def pieces(self, batch: Batch) -> list[Batch]:
        """The batch, in parts no larger than the objective's batches where these were split."""
        if not self._is_split:
            return [batch]
        largest = max(part.size for part in self.objective.batches)
        return batch.shards(-(-batch.size // largest))

    def _halve(self) -> None:
        """Each batch in two parts, where it holds two examples."""
        objective = self.objective
        refuse_indivisible(objective)
        if not self._is_split:
            warnings.warn(
                "Memory ran out: batches are split into smaller ones, for the same mean over the "
                "same examples.",
                stacklevel=2,
            )
        pairs = [
            (part, share * part.size / batch.size)
            for batch, share in zip(objective.batches, objective.shares, strict=True)
            for part in batch.shards(min(2, batch.size))
        ]
        objective.regroup(*zip(*pairs, strict=True))
        self._is_split, self._is_checked = True, False

    def _check(self) -> None:
        """A loss that is no mean over examples differs between a batch and its halves."""
        if self._is_checked:
            return
        objective = self.objective

        def loss(batch: Batch) -> Tensor:
            return scalar(objective.loss(objective.model, batch)).double()

        with torch.no_grad(), objective.opened(objective.w):
            for batch in (b for b in objective.batches if b.size > 1):
                one, other = batch.shards(2)
                mean = (one.size * loss(one) + other.size * loss(other)) / batch.size
                if not torch.isclose(mean, loss(batch), rtol=1e-4, atol=1e-6, equal_nan=True):
                    raise ValueError(
                        "Memory ran out, and the batches cannot be split: their loss is not the "
                        "mean of the losses of their examples. Give smaller batches."
                    )
        self._is_checked = True


def ran_out(error: BaseException) -> bool:
    """Whether an error speaks of memory that an allocator did not have."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(
        words in str(error) for words in ALLOCATORS
    )


def refuse_indivisible(objective: "Objective") -> None:
    """ValueError where smaller batches would be others, or where there are none."""
    ran = "Memory ran out, and "
    if objective.batch_norm != "stored" and batch_norm.layers(objective.model):
        raise ValueError(
            f"{ran}the batches cannot be split: under the policy {objective.batch_norm!r} batch "
            'norm takes its statistics from whole ones. Give smaller batches, or "stored".'
        )
    if any(len(rows_of(batch)) > 1 for batch in objective.batches):
        raise ValueError(
            f"{ran}the batches cannot be split: their tensors do not have one row per example. "
            "Give smaller batches."
        )
    if all(batch.size == 1 for batch in objective.batches):
        raise ValueError(f"{ran}batches hold one example each: nothing is left to split.")
