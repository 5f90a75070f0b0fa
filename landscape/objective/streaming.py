"""Batches that stay where they are, on disk or in host memory, and are read anew by each pass."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from landscape.network.batch import Batch, as_batch
from landscape.objective.data import check_batch
from landscape.utils.rng import seed_of, seeded


class StoredBatch(Batch):
    """A batch that holds no tensors: whoever asks for x, y or a copy reads it anew.

    load: reads it, onto the device; count: its number of examples.
    """

    def __init__(self, load: Callable[[], Batch], count: int, weight: float | None):
        for key, value in {"load": load, "count": count, "weight": weight}.items():
            object.__setattr__(self, key, value)

    load: Callable[[], Batch]
    count: int

    @property
    def x(self) -> Any:
        """The examples, read anew."""
        return self.load().x

    @property
    def y(self) -> Any:
        """The targets, read anew."""
        return self.load().y

    @property
    def size(self) -> int:
        """Number of examples."""
        return self.count

    def rows(self, chosen: slice | Tensor) -> Batch:
        """Some of the examples, read when they are asked for; the weight in proportion."""
        count = len(torch.arange(self.size)[chosen if isinstance(chosen, slice) else chosen.cpu()])
        weight = self.share * count / self.size
        return StoredBatch(lambda: self.load().rows(chosen), count, weight)

    def copy(self) -> Batch:
        """The batch in tensors of its own."""
        return self.load().copy()

    def to(self, device: torch.device | str) -> Batch:
        """The batch itself: it is read onto the device of its objective."""
        return self

    def changed(self, change: Callable[[Batch], Batch]) -> "StoredBatch":
        """The batch with a change to what is read."""
        return StoredBatch(lambda: change(self.load()), self.count, self.weight)


def stored_batches(batches: Any, device: torch.device, seed: int) -> tuple[StoredBatch, ...]:
    """Batches to be read from `batches` by each pass, onto `device`; each is read once here, for
    its size.

    batches: a sequence, as a list, or an object with a length whose items are batches; or a
    DataLoader over a data set with a length, whose order is drawn once, with `seed`, and whose
    examples are read in this process.

    Raises ValueError for others, which can be read only once, and for no batches.
    """
    read, count = _reader(batches, device, seed)
    if not count:
        raise ValueError("An objective needs at least one batch. Got none: is the data empty?")

    dtype = torch.get_default_dtype()

    def stored(i: int) -> StoredBatch:
        def load() -> Batch:
            with _outside_of_passes(dtype), seeded(seed_of(seed, "data", i), device):
                return as_batch(read(i)).to(device)

        batch = load()
        check_batch(batch, i)
        return StoredBatch(load, batch.size, batch.weight)

    return tuple(map(stored, range(count)))


@contextmanager
def _outside_of_passes(dtype: torch.dtype) -> Iterator[None]:
    """While open, tensors are made as outside of a pass, which may compute in float64."""
    kept = torch.get_default_dtype()
    try:
        torch.set_default_dtype(dtype)
        with torch._C.DisableTorchFunction():
            yield
    finally:
        torch.set_default_dtype(kept)


def _reader(batches: Any, device: torch.device, seed: int) -> tuple[Callable[[int], Any], int]:
    """Function that reads the i-th batch, and the number of batches."""
    if isinstance(batches, DataLoader):
        sampler, dataset = batches.batch_sampler, batches.dataset
        if sampler is not None and not isinstance(dataset, IterableDataset):
            with seeded(seed_of(seed, "data"), device):
                order = [list(indices) for indices in sampler]
            collate = batches.collate_fn
            return lambda i: collate([dataset[j] for j in order[i]]), len(order)
    elif hasattr(batches, "__getitem__") and not isinstance(batches, Batch | Mapping | Tensor):
        return batches.__getitem__, len(batches)
    raise ValueError(
        "`streamed` needs batches that can be read again: a list of batches, an object with a "
        f"length whose items are batches, or a DataLoader of such a data set. Got {_kind(batches)}."
    )


def _kind(batches: Any) -> str:
    dataset = getattr(batches, "dataset", None)
    of = "" if dataset is None else f" of {type(dataset).__name__}"
    return f"{type(batches).__name__}{of}"
