"""A classification data set in memory, its split by seed, and its batches."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from landscape.network.batch import Batch, rows_of, tensors
from landscape.utils.rng import seed_of

ARRAYS = ("train_x", "train_y", "test_x", "test_y")
MOST_CLASSES = 2**18  # a model has an output for each; the largest vocabularies have as many
Augment = Callable[[Any, torch.Generator], Any]  # x (n, ...) of a batch, random -> the same shape


@dataclass(frozen=True, eq=False)
class DataSet:
    """Examples and their classes, training and test apart.

    train_x (n, ...), test_x (m, ...): float32, normalised, or int64, tokens. train_y (n,), test_y
    (m,): int64 in [0, classes); of sequences (n, length), (m, length), of images also (n, h, w),
    (m, h, w), a class for each place.
    train_x and test_x may also be mappings of such tensors, as tokenizers give them; a model is
    called with a mapping as its loss does it.
    classes: how many; 0 where targets are real numbers, (n, ...).
    fingerprint: sha256 over names, types, shapes and bytes of the four arrays; computed when left
        empty, which only a source with a cheaper proof of identity should not do.
    augment: (x, generator) -> x of the same shape, for training batches only.
    note: what a reader of the results must know about these files, or "".

    Raises ValueError when there is no example, x and y differ in length, a class is out of range,
    or there are more than MOST_CLASSES.
    """

    name: str
    train_x: Any
    train_y: Tensor
    test_x: Any
    test_y: Tensor
    classes: int
    fingerprint: str = ""
    augment: Augment | None = None
    note: str = ""

    def __post_init__(self) -> None:
        if self.classes > MOST_CLASSES:
            raise ValueError(
                f"`classes` must be at most {MOST_CLASSES}. Got {self.classes}. "
                "Number the classes from 0 without gaps."
            )
        _check("train", self.train_x, self.train_y, self.classes)
        _check("test", self.test_x, self.test_y, self.classes)
        if not self.fingerprint:
            object.__setattr__(self, "fingerprint", fingerprint(self))


def count(x: Any) -> int:
    """Count the examples of x, a tensor or a mapping of tensors."""
    return Batch(x, None).size


def _check(part: str, x: Any, y: Tensor, classes: int) -> None:
    if isinstance(x, Mapping):
        if len(rows_of(Batch(x, y))) > 1:
            raise ValueError(f"Tensors of `{part}_x` must have one row for each of `{part}_y`.")
        x = next(tensors(x))
    if not len(x):
        raise ValueError(f"`{part}_x` must hold at least one example. Got none.")
    if not classes and len(y) == len(x):
        return
    if y.shape != (len(x),) and not _has_classes_of_places(x, y):
        raise ValueError(
            f"`{part}_y` must hold one class for each of the {len(x)} examples, or places. "
            f"Got shape {tuple(y.shape)}."
        )
    wrong = y[(y < 0) | (y >= classes)]
    if len(wrong):
        raise ValueError(f"`{part}_y` must lie in [0, {classes}). Got {int(wrong[0])}.")


def _has_classes_of_places(x: Tensor, y: Tensor) -> bool:
    """A class for each token of x (n, length), or for each pixel of x (n, channels, h, w)."""
    return y.shape == x.shape or (x.dim() > 2 and y.shape == (len(x), *x.shape[2:]))


def check_finite(part: str, x: object, y: object = None) -> None:
    """Refuse inputs, and real targets where they are given, that hold NaN or infinity.

    part: what they belong to, for the error. Raises ValueError with the number of such examples.
    """
    named = x.items() if isinstance(x, Mapping) else [("x", x)]
    for name, value in (*named, ("y", y)):
        if not isinstance(value, Tensor) or not value.is_floating_point():
            continue
        whole = value.detach()
        if bool(torch.isfinite(whole.sum())) or bool(torch.isfinite(whole).all()):
            continue  # the sum tells most at once; it can overflow where no number is infinite
        wrong = int((~torch.isfinite(whole)).reshape(len(whole), -1).any(1).sum())
        raise ValueError(
            f"{name} of the {part} holds NaN or infinity in {wrong} of {len(whole)} examples. "
            "Remove or replace them in the data."
        )


def fingerprint(dataset: DataSet) -> str:
    """sha256, in hexadecimal, over name, type, shape and bytes of each array."""
    digest = hashlib.sha256()
    for name in ARRAYS:
        value = getattr(dataset, name)
        parts = value if isinstance(value, Mapping) else {"": value}
        for key in sorted(parts):
            array = np.ascontiguousarray(parts[key].numpy(force=True))
            title = f"{name}.{key}" if key else name
            digest.update(f"{title} {array.dtype} {array.shape}\n".encode())
            digest.update(array.data)
    return digest.hexdigest()


@dataclass(frozen=True)
class Split:
    """Training examples, examples held out from them, and the fixed test set."""

    train: Batch
    held_out: Batch
    test: Batch


def split(dataset: DataSet, seed: int, held_out: float = 0.1, label_noise: float = 0.0) -> Split:
    """Hold out a random fraction of the training set; the test set is the same for every seed.

    seed: decides which examples, by a permutation drawn on the CPU. Both parts keep their order.
    held_out: the fraction, in [0, 1), rounded to whole examples and never all of them.
    label_noise: see `noisy`; over the whole training set before it is split, so held-out labels
    are as noisy as those trained on (who has noisy labels has no clean ones to hold out). Test
    labels stay as they are.

    Raises ValueError when `held_out` or `label_noise` is outside [0, 1).
    """
    if not 0 <= held_out < 1:
        raise ValueError(f"`held_out` must be in [0, 1). Got {held_out}.")
    labels = noisy(dataset.train_y, dataset.classes, label_noise, seed)
    examples = Batch(dataset.train_x, labels)
    n = examples.size
    left_out = min(round(held_out * n), n - 1)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    order = order.to(device_of_rows(examples))
    held, kept = order[:left_out].sort().values, order[left_out:].sort().values
    return Split(
        train=replace(examples.rows(kept), weight=None),
        held_out=replace(examples.rows(held), weight=None),
        test=Batch(dataset.test_x, dataset.test_y),
    )


def noisy(labels: Tensor, classes: int, share: float, seed: int) -> Tensor:
    """Symmetric label noise: a share of the labels, each replaced by one of the OTHER classes.

    labels: (n,), or (n, length), where it is a share of all places.

    share: in [0, 1), rounded to whole labels, all of which are wrong afterwards. Where other
    authors draw from all classes, this is their share times (1 - 1/classes).
    seed: decides which labels, and the new ones uniformly; drawn on the CPU.

    Raises ValueError when `share` is outside [0, 1), or there is no other class.
    """
    if not 0 <= share < 1:
        raise ValueError(f"`label_noise` must be in [0, 1). Got {share}.")
    if share and classes < 2:
        raise ValueError(f"`label_noise` needs at least 2 classes. Got {classes}.")
    count = round(share * labels.numel())
    if not count:
        return labels
    generator = torch.Generator().manual_seed(seed_of(seed, "label noise"))
    chosen = torch.randperm(labels.numel(), generator=generator)[:count].to(labels.device)
    shift = torch.randint(1, classes, (count,), generator=generator).to(labels.device)
    wrong = labels.flatten().clone()
    wrong[chosen] = (wrong[chosen] + shift) % classes
    return wrong.view(labels.shape)


def batches(
    batch: Batch, size: int, *, generator: torch.Generator | None = None, drop_last: bool = False
) -> Iterator[Batch]:
    """Cut a batch into batches of `size` examples, weights in proportion.

    generator: on the CPU; shuffles, the same way wherever the examples lie. It is drawn from once,
        at the call. Without it the order is kept and the batches are views.
    drop_last: leave out the last batch where it is smaller.

    Raises ValueError when `size` is not positive.
    """
    if size < 1:
        raise ValueError(f"`size` must be positive. Got {size}.")
    n = batch.size
    stop = n - n % size if drop_last else n
    bounds = [(start, min(start + size, n)) for start in range(0, stop, size)]
    if generator is None:
        return (batch.rows(slice(start, end)) for start, end in bounds)
    order = torch.randperm(n, generator=generator).to(device_of_rows(batch))
    return (batch.rows(order[start:end]) for start, end in bounds)


def subset(part: Batch, examples: int) -> Batch:
    """Select some examples of a part of the data, always the same; all if there are fewer."""
    rows = torch.randperm(part.size, generator=torch.Generator().manual_seed(0))[:examples]
    return part.rows(rows.to(device_of_rows(part)))


def device_of_rows(batch: Batch) -> torch.device:
    """Return the device on which the examples of a batch lie."""
    return next(tensors(batch.x)).device
