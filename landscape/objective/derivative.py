"""First derivatives of one number or vector by a leaf, and the sum over batches."""

from collections.abc import Iterable
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from landscape.network.flatness import pullback

WRITTEN = (
    "The model changes its own weights in a pass, as nn.Embedding(max_norm=...) and clamped layers "
    "do, so its loss has no derivative there. Change the weights outside of forward."
)


def total(terms: Iterable[Tensor]) -> Tensor:
    """The sum of tensors, of which one at a time is needed."""
    return reduce(Tensor.add, terms)


def derivative(y: Any, leaf: Tensor, v: Tensor | None, create_graph: bool = False) -> Tensor:
    """vᵀ dy/dleaf, shape (m,); zeros where y does not depend on the point.

    Without v, of a number y; its graph is kept where one is created. With v it is always kept.
    """
    if not y.requires_grad:
        return torch.zeros_like(leaf)
    if v is not None:
        return pullback(y, leaf, v)
    (g,) = torch.autograd.grad(
        y, leaf, create_graph=create_graph, retain_graph=create_graph, materialize_grads=True
    )
    return g


def refuse_not_finite(gradient: Tensor, consequence: str) -> None:
    """Raise ValueError, with the consequence in words, for a gradient that is not finite."""
    if not bool(gradient.isfinite().all()):
        raise ValueError(
            f"The gradient of the loss is not finite, so {consequence}. Look for a square root or "
            "norm of 0, or a logarithm or division of 0, in the model or loss."
        )


def refuse_written(leaf: Tensor, values: Tensor) -> None:
    """Raise ValueError where a pass has written into the leaf that the model stood on."""
    if leaf._version and not torch.equal(leaf, values):
        raise ValueError(WRITTEN)
