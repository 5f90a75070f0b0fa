"""Labels of sequences: does the loss compare each row of logits with the label of its own place?

A causal language model's loss compares the logits at place t with the label at t + 1, and often
shifts the labels itself. Such a loss does not depend on the first label of a sequence, whereas the
cross-entropy of logits and labels as they stand does.
"""

import copy
from collections.abc import Mapping, MutableMapping
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor

from landscape.methods.walker.walker import Walker
from landscape.network.batch import Batch, LossFn

SHIFTED = (
    "AACE needs the label of each row of logits. This loss does not depend on the first label of "
    "the batch's sequences: it shifts the labels, as a causal language model's. Give shifted "
    "labels as the batch's y, labels[:, 1:], and from `logits=` all places but the last."
)


def check(walker: Walker, batch: Batch, cross_entropy: LossFn) -> bool:
    """Try the walker's loss on other first labels, without a trace (rule R2).

    cross_entropy: that of the logits and labels that the method compares.

    Returns False where this batch cannot tell, because `cross_entropy` depends as little on those
    labels. Raises ValueError where the loss shifts the labels, or takes them from elsewhere.
    """
    other = with_other_first_labels(batch)
    if other is None:
        return True

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
        raise ValueError(SHIFTED)
    return decisive


def with_other_first_labels(batch: Batch) -> Batch | None:
    """The batch with another class as each sequence's first label, (n, T) with T > 1.

    None where targets are no labels of sequences, or a mapping's "labels" are of another shape:
    then the caller has shifted them.
    """
    x, y = batch.x, batch.y
    if not isinstance(y, Tensor) or y.is_floating_point() or y.dim() != 2 or y.shape[1] < 2:
        return None
    y = y.clone()
    y[:, 0] = (y[:, 0] == 0).to(y)
    if isinstance(x, Mapping) and "labels" in x:
        if x["labels"].shape != y.shape:
            return None
        relabelled = cast(MutableMapping[str, Any], copy.copy(x))
        relabelled["labels"] = y
        x = relabelled
    return replace(batch, x=x, y=y)
