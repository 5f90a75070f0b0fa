"""Data, read once: batches in the memory of a device, and a fingerprint of them."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from landscape.distributed.ranks import ALONE, Alone
from landscape.network.batch import Batch, as_batch, dense_parts, rows_of, tensors
from landscape.utils.rng import seed_of, seeded

MOST = 100_000  # batches
SHARE = 0.5  # of a machine's memory


def load_batches(batches: Iterable[Any], device: torch.device, seed: int) -> tuple[Batch, ...]:
    """Read all batches onto `device`.

    A loader that shuffles or augments is read once, with torch's random numbers from `seed`: what
    it yields then is fixed. Torch's own random state, and that of the loader's generator, stay as
    they were.

    Raises ValueError for no batches, batches without end (more than 100,000, or than half of the
    machine's memory), for batches whose examples cannot be counted, and for those that a later one
    is written over.
    """
    if isinstance(batches, Batch | Mapping | Tensor) or not isinstance(batches, Iterable):
        raise ValueError(
            f"`batches` must be an iterable of batches. Got one {type(batches).__name__}: "
            "put it in a list."
        )
    kept: list[Batch] = []
    held, limit = 0, SHARE * _memory_of(device)
    first: Batch | None = None
    with seeded(seed_of(seed, "data"), device), _generators_kept(batches):
        for item in batches:
            batch = as_batch(item)
            check_batch(batch, len(kept))
            held += sum(
                t.numel() * t.element_size() for t in (*tensors(batch.x), *tensors(batch.y))
            )
            if len(kept) == MOST or held > limit:
                raise ValueError(
                    "`batches` must end, and fit in memory: they are read once and kept. Got more "
                    f"than {len(kept):,} batches, {held / 2**30:.2g} GiB. Take some of them: "
                    "itertools.islice(batches, 100), or streamed=True."
                )
            kept.append(batch.to(device))
            first = first or kept[0].copy()
    if not kept:
        raise ValueError("An objective needs at least one batch. Got none: is the data empty?")
    if first is not None and len(kept) > 1 and fingerprint_of([first]) != fingerprint_of(kept[:1]):
        raise ValueError(
            "`batches` must be tensors of their own. The loader has written a later batch into the "
            "memory of the first: yield copies, x.clone()."
        )
    return tuple(kept)


@contextmanager
def _generators_kept(batches: Any) -> Iterator[None]:
    """While open, a DataLoader may draw from generators of its own; they come back as they were."""
    holders = (batches, getattr(batches, "sampler", None), getattr(batches, "batch_sampler", None))
    held = [getattr(holder, "generator", None) for holder in holders]
    states = [(g, g.get_state()) for g in held if isinstance(g, torch.Generator)]
    try:
        yield
    finally:
        for generator, state in states:
            generator.set_state(state)


def weight_fractions(batches: Sequence[Batch], ranks: Alone = ALONE) -> list[float]:
    """Each batch's fraction of the total weight, that of all ranks.

    Raises ValueError where the weights have no sum.
    """
    weights = [batch.share for batch in batches]
    total = sum(ranks.gather(sum(weights)))
    if not all(weight >= 0 for weight in weights) or not 0 < total < float("inf"):
        raise ValueError(
            "Weights of batches must be non-negative, with a positive sum. "
            f"Got {', '.join(f'{weight:g}' for weight in weights[:5])}."
        )
    return [weight / total for weight in weights]


def with_weight(batches: Sequence[Batch]) -> tuple[Batch, ...]:
    """The batches without those of weight 0, whose loss may be NaN; all where no weight is left."""
    return tuple(batch for batch in batches if batch.share != 0) or tuple(batches)


def fingerprint_of(batches: Sequence[Batch], ranks: Alone = ALONE) -> str:
    """The first 16 hexadecimal digits of the data's SHA-256; of all ranks' data, in their order,
    which pass through each of them.
    """
    digest = hashlib.sha256()
    counts = ranks.gather(len(batches))
    for rank, count in enumerate(counts):
        for number in range(count):
            own = _bytes_of(batches[number]) if rank == ranks.index else None
            for piece in ranks.from_rank(rank, own):
                digest.update(piece)
    return digest.hexdigest()[:16]


def _bytes_of(batch: Batch) -> list[bytes]:
    """Shapes, types and numbers of a batch's tensors."""
    pieces = []
    for t in (*tensors(batch.x), *tensors(batch.y)):
        pieces.append(f"{tuple(t.shape)} {t.dtype}".encode())
        for dense in dense_parts(t.detach()):
            data = dense.cpu().flatten().clone()  # one row of bytes, whatever the strides
            pieces.append(data.view(torch.uint8).numpy().tobytes())
    return pieces


def check_batch(batch: Batch, number: int) -> None:
    """Raise ValueError for a batch whose examples cannot be counted."""
    if any(t.is_nested for t in (*tensors(batch.x), *tensors(batch.y))):
        raise ValueError(
            f"Batch {number} holds nested tensors, which have no rows of one size: pad them "
            "(t.to_padded_tensor(0))."
        )
    rows = rows_of(batch)
    if 0 in rows:
        raise ValueError(f"Batch {number} must hold examples. Got a tensor without rows.")
    if len(rows) > 1 and batch.weight is None:
        raise ValueError(
            f"Tensors of a batch must have one row per example. Those of batch {number} have "
            f"{', '.join(map(str, sorted(rows)))} rows: pad them, or give the number of examples, "
            "Batch(x, y, weight=...)."
        )


def _memory_of(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    if device.type == "cpu" and hasattr(os, "sysconf"):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return float("inf")
