"""Batch: examples with their targets, in whatever nested form the user's model wants them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class Batch:
    """Examples and their targets: tensors, or tuples, lists and dicts of tensors, one example per
    row; a tensor of shape () belongs to all examples.

    weight: of the batch in an average over batches; the number of examples by default.
    """

    x: Any
    y: Any
    weight: float | None = None

    @property
    def size(self) -> int:
        """Number of examples."""
        for t in tensors(self.x):
            if t.dim():
                return len(t)
        raise ValueError("A batch needs at least one tensor in `x`. Got none.")

    @property
    def share(self) -> float:
        """The weight, or the number of examples where none is given."""
        return float(self.size if self.weight is None else self.weight)

    def shards(self, num_shards: int) -> list["Batch"]:
        """`num_shards` contiguous parts; sizes at most one apart, weights in proportion to size."""
        n = self.size
        if not 1 <= num_shards <= n:
            raise ValueError(
                f"`num_shards` must be between 1 and the batch's {n} examples. Got {num_shards}."
            )
        ends = [n * j // num_shards for j in range(num_shards + 1)]
        return [self.rows(slice(start, end)) for start, end in pairwise(ends)]

    def stacked(self, num_shards: int) -> tuple[Any, Any]:
        """x and y of `num_shards` equal parts, each tensor (num_shards, examples in one, ...)."""
        trees = self.x, self.y
        x, y = (mapped(tree, lambda t: t.unflatten(0, (num_shards, -1))) for tree in trees)
        return x, y

    def rows(self, chosen: slice | Tensor) -> "Batch":
        """Some of the examples, by a slice or by their numbers (k,); the weight in proportion."""
        x, y = (mapped(tree, lambda t: t[chosen] if t.dim() else t) for tree in (self.x, self.y))
        part = Batch(x, y)
        return replace(part, weight=self.share * part.size / self.size)

    def copy(self) -> "Batch":
        """The same batch in tensors of its own, which may be written to."""
        x, y = (mapped(tree, _copied) for tree in (self.x, self.y))
        return replace(self, x=x, y=y)

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on another device."""
        x, y = (mapped(tree, lambda t: t.to(device)) for tree in (self.x, self.y))
        return replace(self, x=x, y=y)


LossFn = Callable[[nn.Module, Batch], Tensor]
Logits = Callable[[nn.Module, Batch], Tensor]


def as_batch(item: Any) -> Batch:
    """A `Batch`, from itself, from a pair (x, y) or from a mapping, as a DataLoader yields it.

    A mapping, as Hugging Face's loaders yield it, is x as a whole, with its "labels", where it has
    any, as y too: the loss is `lambda model, batch: model(**batch.x).loss`.
    """
    if isinstance(item, Batch):
        return item
    if isinstance(item, Mapping):
        return Batch(dict(item), item.get("labels"))
    if isinstance(item, tuple | list) and len(item) == 2:
        return Batch(item[0], item[1])
    found = type(item).__name__ + (f" of {len(item)}" if isinstance(item, tuple | list) else "")
    raise ValueError(
        f"A batch must be a landscape.Batch or a pair (x, y), or a mapping. Got {found}."
    )


def tensors(tree: Any) -> Iterator[Tensor]:
    """The tensors of nested tuples, lists and dicts, in order."""
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, Mapping):
        for value in tree.values():
            yield from tensors(value)
    elif isinstance(tree, tuple | list):
        for value in tree:
            yield from tensors(value)


def rows_of(batch: Batch) -> set[int]:
    """The lengths of its tensors: one, where each holds one example per row."""
    return {len(t) for t in (*tensors(batch.x), *tensors(batch.y)) if t.dim()}


def mapped(tree: Any, f: Callable[[Tensor], Tensor]) -> Any:
    """The same tree with f(t) in the place of each tensor t."""
    if isinstance(tree, Tensor):
        return f(tree)
    if isinstance(tree, Mapping):
        return {key: mapped(value, f) for key, value in tree.items()}
    if isinstance(tree, tuple | list):
        return type(tree)([mapped(value, f) for value in tree])
    return tree


def _copied(t: Tensor) -> Tensor:
    return t.detach().clone().requires_grad_(t.requires_grad)


def scalar(value: Tensor) -> Tensor:
    """The value of a loss, checked to have shape ()."""
    if not isinstance(value, Tensor) or value.shape != ():
        found = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise ValueError(f"The loss must be the mean over the batch, of shape (). Got {found}.")
    return value


def logits_in(answer: Any) -> Any:
    """The logits in a model's answer: itself, or its `.logits` (n, classes), as in transformers.

    Longer ones may be of a language model, whose targets stand one place further: they are left.
    """
    held = getattr(answer, "logits", None)
    return held if isinstance(held, Tensor) and held.dim() == 2 else answer


def correct(answer: Any, y: Any) -> tuple[Tensor, Tensor] | None:
    """How many targets the largest logit names, and of how many, shapes (); None where targets
    are no classes.

    answer: logits (..., classes), or what holds them, see `logits_in`.
    y: (...) integers; labels that are no class, as -100 or 255, are ignored and not counted.
    """
    logits = logits_in(answer)
    if not (isinstance(logits, Tensor) and isinstance(y, Tensor)):
        return None
    if y.is_floating_point() or logits.shape[:-1] != y.shape:
        return None
    counted = ((y >= 0) & (y < logits.shape[-1])).sum()
    return (logits.max(-1).indices == y).sum(), counted  # twice as fast as argmax on the CPU
