"""Gradients of several shards in one pass, vectorised by vmap."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.func import vmap

from landscape.methods.walker.pass_gradient import PassGradient
from landscape.network.batch import Batch
from landscape.network.weights import Weights


def shard_gradients(
    weights: Weights,
    points: Tensor,
    batch: Batch,
    evaluate: Callable[[Batch], Tensor],
    differentiate: Callable[[Tensor, Sequence[Tensor]], PassGradient],
) -> tuple[Tensor, PassGradient, Tensor]:
    """Losses (k,) of k equal shards of a batch, each at its own of the points (k, n); the gradient
    of their sum as `differentiate` gives it, that of other tensors as their mean; its rows (k, n).
    """
    k = len(points)
    x, y = batch.stacked(k)
    leaves = [part.detach().requires_grad_() for part in weights.stacked(points)]

    def value(point: list[Tensor], x: Any, y: Any) -> Tensor:
        with weights.substituted(point):
            return evaluate(Batch(x, y))

    versions = [leaf._version for leaf in leaves]
    values = vmap(value, in_dims=(0, 0, None if y is None else 0))(leaves, x, y)
    if [leaf._version for leaf in leaves] != versions:
        raise RuntimeError("the model writes into its weights in a pass")
    found = differentiate(values.sum(), leaves)
    found = found._replace(others=[(t, g / k) for t, g in found.others])
    rows = [
        (torch.zeros_like(leaf) if g is None else g).reshape(k, -1)
        for g, leaf in zip(found.parameters, leaves, strict=True)
    ]
    return values.detach(), found, torch.cat(rows, dim=1)
