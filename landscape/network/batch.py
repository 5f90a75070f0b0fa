"""Batch: examples with their targets, in whatever nested form the user's model wants them."""

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_sequence, unpack_sequence


@dataclass(frozen=True, eq=False)
class Batch:
    """Examples and their targets: tensors, or tuples, named ones too, lists and dicts of tensors,
    one example per row; a tensor of shape () belongs to all examples. A PackedSequence holds as
    many examples as it has sequences. Beside tensors, arrays and lists of text or numbers that are
    as long have one entry per example.

    weight: of the batch in an average over batches; the number of examples by default.
    """

    x: Any
    y: Any
    weight: float | None = None

    def __post_init__(self) -> None:
        if self.weight is not None and not 0 <= self.weight < math.inf:
            raise ValueError(f"`weight` must be a non-negative number. Got {self.weight}.")

    @property
    def size(self) -> int:
        """Number of examples."""
        for count in _counts(self.x):
            return count
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
        if num_shards == 1:
            return [self]
        ends = [n * j // num_shards for j in range(num_shards + 1)]
        return [self.rows(slice(start, end)) for start, end in pairwise(ends)]

    def stacked(self, num_shards: int) -> tuple[Any, Any]:
        """x and y of `num_shards` equal parts, each tensor (num_shards, examples in one, ...)."""
        trees = self.x, self.y

        def refuse(_: PackedSequence) -> Any:
            raise ValueError("Sequences of a PackedSequence cannot be stacked: mode='sequential'.")

        x, y = (mapped(tree, lambda t: t.unflatten(0, (num_shards, -1)), refuse) for tree in trees)
        return x, y

    def rows(self, chosen: slice | Tensor) -> "Batch":
        """Some of the examples, by a slice or by their numbers (k,); the weight in proportion."""

        def numbers(n: int) -> Tensor:
            return torch.arange(n)[chosen if isinstance(chosen, slice) else chosen.cpu()]

        def some(t: Tensor) -> Tensor:
            if t.layout is torch.strided:
                return t[chosen] if t.dim() else t
            rows = numbers(len(t)).to(t.device)
            return t.to_sparse_coo().index_select(0, rows).to_sparse(layout=t.layout)

        def sequences(packed: PackedSequence) -> PackedSequence:
            unpacked = unpack_sequence(packed)
            return pack_sequence(
                [unpacked[i] for i in numbers(len(unpacked)).tolist()], enforce_sorted=False
            )

        def entries(values: Any) -> Any:
            if len(values) != self.size:
                return values
            rows = numbers(self.size)
            if isinstance(values, np.ndarray):
                return values[rows.numpy()]
            return type(values)(values[i] for i in rows.tolist())

        x, y = (mapped(tree, some, sequences, entries) for tree in (self.x, self.y))
        part = Batch(x, y)
        return replace(part, weight=self.share * part.size / max(self.size, 1))

    def changed(self, change: Callable[["Batch"], "Batch"]) -> "Batch":
        """The batch after a change; of one that is read anew, whenever it is read."""
        return change(self)

    def copy(self) -> "Batch":
        """The same batch in tensors of its own, which may be written to."""
        x, y = (mapped(tree, _copied, entries=copy.copy) for tree in (self.x, self.y))
        return replace(self, x=x, y=y)

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on another device."""

        def move(t: Any) -> Any:
            return t.to(device)

        x, y = (mapped(tree, move, move) for tree in (self.x, self.y))
        return self if x is self.x and y is self.y else replace(self, x=x, y=y)


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
    graph = hasattr(item, "edge_index") and hasattr(item, "to_dict")
    hint = " Of a graph, Batch(data.to_dict(), data.y, weight=data.num_graphs)." if graph else ""
    raise ValueError(
        f"A batch must be a landscape.Batch or a pair (x, y), or a mapping. Got {found}.{hint}"
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
    return {*_counts(batch.x), *_counts(batch.y)}


def mapped(
    tree: Any,
    f: Callable[[Tensor], Tensor],
    packed: Callable[[PackedSequence], Any] | None = None,
    entries: Callable[[Any], Any] | None = None,
) -> Any:
    """The same tree with f(t) in the place of each tensor t.

    packed: what takes the place of a PackedSequence; default the same one with f(its data).
    entries: what takes the place of an array, or a list of text or numbers; default itself.
    """
    if isinstance(tree, Tensor):
        return f(tree)
    if isinstance(tree, PackedSequence):
        return tree._replace(data=f(tree.data)) if packed is None else packed(tree)
    if has_entries(tree):
        return tree if entries is None else entries(tree)
    if isinstance(tree, Mapping):
        return {key: mapped(value, f, packed, entries) for key, value in tree.items()}
    if isinstance(tree, tuple | list):
        items = [mapped(value, f, packed, entries) for value in tree]
        return type(tree)(*items) if hasattr(tree, "_fields") else type(tree)(items)
    return tree


def has_entries(tree: Any) -> bool:
    """Tell whether this is an array, or a list or tuple of text or numbers."""
    if isinstance(tree, np.ndarray):
        return tree.ndim > 0
    plain = isinstance(tree, tuple | list) and not hasattr(tree, "_fields") and len(tree) > 0
    return plain and all(isinstance(value, str | bytes | int | float) for value in tree)


def _copied(t: Tensor) -> Tensor:
    return t.detach().clone().requires_grad_(t.requires_grad)


def dense_parts(t: Tensor) -> tuple[Tensor, ...]:
    """The tensor itself, or the dense ones that a sparse one consists of."""
    if t.layout is torch.sparse_coo:
        t = t.coalesce()
        return t.indices(), t.values()
    if t.layout in (torch.sparse_csr, torch.sparse_bsr):
        return t.crow_indices(), t.col_indices(), t.values()
    if t.layout in (torch.sparse_csc, torch.sparse_bsc):
        return t.ccol_indices(), t.row_indices(), t.values()
    return (t,)


def _counts(tree: Any) -> Iterator[int]:
    """Count the examples that each tensor, or PackedSequence, of a tree holds."""
    if isinstance(tree, Tensor):
        if tree.dim():
            yield tree.shape[0]
    elif isinstance(tree, PackedSequence):
        yield int(tree.batch_sizes[0])
    elif isinstance(tree, Mapping | tuple | list):
        for value in tree.values() if isinstance(tree, Mapping) else tree:
            yield from _counts(value)


def scalar(value: Tensor) -> Tensor:
    """The value of a loss, checked to have shape ()."""
    if not isinstance(value, Tensor) or value.shape != () or value.is_complex():
        found = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        found += ", complex" if isinstance(value, Tensor) and value.is_complex() else ""
        raise ValueError(f"The loss must be the mean over the batch, of shape (). Got {found}.")
    return value


def logits_in(answer: Any) -> Any:
    """The logits in a model's answer: itself, or its `.logits` (n, classes), as in transformers.

    Longer ones may be of a language model, whose targets stand one place further: they are left.
    """
    held = getattr(answer, "logits", None)
    return held if isinstance(held, Tensor) and held.dim() == 2 else answer


def class_logits(answer: Any, y: Any) -> Tensor | None:
    """The logits (..., classes) in a model's answer, see `logits_in`; None where the targets y are
    no classes (...).
    """
    logits = logits_in(answer)
    if not (isinstance(logits, Tensor) and isinstance(y, Tensor)):
        return None
    if y.is_floating_point() or logits.shape[:-1] != y.shape or logits.shape[-1] == 1:
        return None
    return logits


def correct(answer: Any, y: Any) -> tuple[Tensor, Tensor] | None:
    """Count the targets that the largest logit names, and all that count, shapes (); None where
    targets are no classes.

    answer: logits (..., classes), or what holds them, see `logits_in`.
    y: (...) integers; labels that are no class, as -100 or 255, are ignored and not counted.
    """
    logits = class_logits(answer, y)
    return None if logits is None else (named(logits, y), counted(y, logits.shape[-1]))


def named(logits: Tensor, y: Tensor) -> Tensor:
    """Count the targets that the largest logit (..., classes) names, shape ()."""
    return (logits.max(-1).indices == y).sum()  # twice as fast as argmax on the CPU


def counted(y: Tensor, classes: int) -> Tensor:
    """Count the targets that are one of the classes, shape ()."""
    return ((y >= 0) & (y < classes)).sum()


def are_probabilities(z: Tensor) -> bool:
    """Test whether all rows of z (..., classes), one at least, are ≥ 0 and sum to 1 to rounding."""
    if not z.numel() or z.shape[-1] < 2 or not z.is_floating_point():
        return False
    rough = z.dtype in (torch.float16, torch.bfloat16)
    apart = (z.detach().double().sum(-1) - 1).abs()
    return bool((z >= 0).all()) and bool((apart <= (1e-2 if rough else 1e-4)).all())


def refuse_probabilities(z: Tensor, asker: str) -> None:
    """Raise ValueError where z (..., classes), which `asker` takes for logits, are probabilities.

    Log-probabilities are logits: their softmax is the probabilities.
    """
    if are_probabilities(z):
        raise ValueError(
            f"{asker} needs logits. The model's answers are probabilities: all are non-negative "
            "and each row sums to 1. Give logits=lambda model, batch: model(batch.x).log(), or, "
            "where the loss takes these answers for logits, model(batch.x) + 1, which has the same "
            "softmax."
        )
