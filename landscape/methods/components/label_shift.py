"""Labels that the loss compares otherwise: each row of logits with the label of its own place?

A causal language model's loss compares the logits at place t with the label at t + 1, and often
shifts the labels itself. Such a loss does not depend on the first label of a sequence, whereas the
cross-entropy of logits and labels as they stand does. A loss of the training nodes of a graph, or
of any other part of the rows, does not depend on the labels of the others.
"""

import copy
from collections.abc import Mapping, MutableMapping
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from landscape.methods.walker.walker import Walker
from landscape.network.batch import Batch, LossFn, class_logits
from landscape.network.linear_layer import answers_of

SHIFTED = (
    "AACE needs the label of each row of logits. This loss does not depend on the first label of "
    "the batch's sequences: it shifts the labels, as a causal language model's. Give shifted "
    "labels as the batch's y, labels[:, 1:], and from `logits=` all places but the last."
)
LEFT_OUT = (
    "AACE needs the rows that the loss counts. This loss does not depend on some labels of the "
    "batch: it leaves rows out, as a mask of a graph's training nodes does. Give -100 as the "
    "labels of those rows in the batch's y."
)


def check(walker: Walker, batch: Batch, cross_entropy: LossFn) -> bool:
    """Try the walker's loss on other labels, without a trace (rule R2).

    cross_entropy: that of the logits and labels that the method compares.

    Returns False where this batch cannot tell, because `cross_entropy` depends as little on those
    labels. Raises ValueError where the loss shifts the labels, takes them from elsewhere, or leaves
    some out.
    """
    known, first = True, with_other_first_labels(batch)
    if first is not None:
        known = _depends(walker, batch, first, cross_entropy, SHIFTED)
    rows = rows_without_gradient(walker, batch)
    if rows is not None:
        others = with_other_labels(batch, rows)
        known &= _depends(walker, batch, others, cross_entropy, LEFT_OUT)
    return known


def _depends(
    walker: Walker, batch: Batch, other: Batch, cross_entropy: LossFn, message: str
) -> bool:
    """Test whether a batch with other labels decides. Raises ValueError, where it is refused."""

    def changes(loss: LossFn, least: float) -> tuple[Tensor, bool]:
        values = []
        for b in (batch, other):
            with walker.aside():  # both with the draws of the pass to come
                values.append(walker.value(b, loss=loss).double())
        return values[0], bool((values[1] - values[0]).abs() > least * values[0].abs())

    value, depends = changes(walker.given_loss, 1e-6)
    if depends or value.isnan():
        return True
    compared, decisive = changes(cross_entropy, 1e-5)
    if decisive and not torch.isclose(value, compared, rtol=1e-5):
        raise ValueError(message)
    return decisive


def rows_without_gradient(walker: Walker, batch: Batch) -> Tensor | None:
    """Rows of logits, of the shape of y, on which the loss does not depend at this point.

    A loss with a margin has such rows too. None where there are none, on any rank, or where the
    caller gives the logits or they are not the network's answer.
    """
    y, rows = batch.y, None

    def share(model: nn.Module, part: Batch) -> Tensor:
        nonlocal rows
        with torch.enable_grad(), answers_of(model) as answers:
            value = walker.given_loss(model, part)
        z = class_logits(answers[0], y) if len(answers) == 1 else None
        rows = torch.zeros_like(y, dtype=torch.bool)
        if z is not None and z.requires_grad and value.requires_grad:
            (slope,) = torch.autograd.grad(value, z, allow_unused=True)
            unseen = rows if slope is None else (slope == 0).all(-1)
            rows = unseen & (y >= 0) & (y < z.shape[-1]) & _undecided(z.detach(), y)
        return rows.double().mean()

    if walker.given_logits is not None or not isinstance(y, Tensor) or y.is_floating_point():
        return None
    with walker.aside():
        return rows if walker.value(batch, loss=share) > 0 else None


def _undecided(z: Tensor, y: Tensor) -> Tensor:
    """Rows whose own cross-entropy has a gradient: the label's probability does not round to 1."""
    p = z.float().softmax(-1).gather(-1, y.clamp(0, z.shape[-1] - 1)[..., None].long())
    return p[..., 0] < 1 - 1e-4


def with_other_first_labels(batch: Batch) -> Batch | None:
    """The batch with another class as each sequence's first label, (n, T) with T > 1.

    None where targets are no labels of sequences, or a mapping's "labels" are of another shape:
    then the caller has shifted them.
    """
    x, y = batch.x, batch.y
    if not isinstance(y, Tensor) or y.is_floating_point() or y.dim() != 2 or y.shape[1] < 2:
        return None
    if isinstance(x, Mapping) and "labels" in x and x["labels"].shape != y.shape:
        return None
    first = torch.zeros_like(y, dtype=torch.bool)
    first[:, 0] = True
    return with_other_labels(batch, first)


def with_other_labels(batch: Batch, rows: Tensor) -> Batch:
    """The batch with another class as the label of some rows, of the shape of y."""
    x, y = batch.x, torch.where(rows, (batch.y == 0).to(batch.y), batch.y)
    if isinstance(x, Mapping) and "labels" in x and x["labels"].shape == y.shape:
        relabelled = cast(MutableMapping[str, Any], copy.copy(x))
        relabelled["labels"] = y
        x = relabelled
    return replace(batch, x=x, y=y)
