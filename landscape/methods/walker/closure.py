"""A pass that is the user's own: torch's closure, which clears the gradient, computes the loss,
calls backward and returns the loss.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import torch
from torch import Tensor

from landscape.methods.walker.pass_gradient import PassGradient, dense
from landscape.network.batch import LossFn, scalar
from landscape.network.weights import Weights

NEEDS = "This method needs more of a batch than a closure can give: {}. Call step(batch)."


class Closure:
    """Stands where a method expects its batch: the closure alone knows the data.

    A method that asks it for more than a loss and its gradient gets a ValueError.
    """

    share = 1.0

    def __init__(self, call: Callable[[], Any]):
        self.call = call

    def value_and_grad(
        self, weights: Weights, at: Tensor | None, loss: LossFn | None
    ) -> tuple[Tensor, PassGradient]:
        """L, shape (), and ∇L of one call, with the parameters moved to `at` (n,).

        Parameters and their `.grad` come back as they were, bit for bit, also when it raises.
        loss: must be None, the closure's own.
        """
        if loss is not None:
            raise ValueError(NEEDS.format("another loss of it"))
        parameters = weights.parameters
        before = [p.grad for p in parameters]
        try:
            for p in parameters:
                p.grad = None
            with _moved(weights, at), torch.enable_grad():
                value = self.call()
            found = [dense(p.grad) for p in parameters]
        finally:
            for p, g in zip(parameters, before, strict=True):
                p.grad = g
        if all(g is None for g in found):
            raise ValueError(
                "The closure must call backward() on the loss, and return it. "
                "Got no gradient in any parameter."
            )
        value = scalar(parameters[0].new_tensor(value) if isinstance(value, float) else value)
        return value.detach(), PassGradient(found, [])

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise ValueError(NEEDS.format(f"`{name}`"))


@contextmanager
def _moved(weights: Weights, at: Tensor | None) -> Iterator[None]:
    """While open, the parameters themselves are `at`; None: where they are."""
    torch.clear_autocast_cache()  # of the weights elsewhere, where the caller has a block open
    if at is None:
        yield
        return
    kept = weights.read()
    try:
        weights.write(at)
        yield
    finally:
        weights.write(kept)
        torch.clear_autocast_cache()
