"""The gradient of one pass, as torch's backward would leave it."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

NO_GRADIENT = (
    "The loss must depend on the model's trainable parameters. Got one that reaches none of them: "
    "compute it without torch.no_grad(), detach() or item()."
)


class PassGradient(NamedTuple):
    """The gradient of a loss.

    parameters: of each parameter, None where the pass did not reach it; others: tensors outside
    the model, as a criterion's own parameters, with their gradients.
    """

    parameters: Sequence[Tensor | None]
    others: list[tuple[Tensor, Tensor]]

    @property
    def reached(self) -> list[bool]:
        """Flag of each parameter: the pass reached it."""
        return [g is not None for g in self.parameters]

    def weighted(self, weight: float | None) -> "PassGradient":
        """The parameters' gradients times a weight; None: as they are."""
        if weight is None:
            return self
        return self._replace(
            parameters=[None if g is None else g * weight for g in self.parameters]
        )


def dense(g: Tensor | None) -> Tensor | None:
    """The gradient itself, or a sparse one, as of nn.Embedding(sparse=True), with its zeros."""
    return g.to_dense() if g is not None and g.layout is torch.sparse_coo else g


def differentiate(
    value: Tensor, leaves: Sequence[Tensor], others: Sequence[Tensor]
) -> PassGradient:
    """The gradient of `value` with respect to the parameters' leaves, and to other tensors.

    Raises ValueError for a value that depends on no leaf.
    """
    if not value.requires_grad:
        raise ValueError(NO_GRADIENT)
    found = torch.autograd.grad(value, [*leaves, *others], allow_unused=True)
    gradients, more = [dense(g) for g in found[: len(leaves)]], found[len(leaves) :]
    if all(g is None for g in gradients):
        raise ValueError(NO_GRADIENT)
    others_too = [(t, g) for t, g in zip(others, more, strict=True) if g is not None]
    return PassGradient(gradients, others_too)
