"""Case of the differential suite: a network, a loss and batches as people outside write them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

Loss = Callable[[nn.Module, Any], Tensor]


@dataclass
class Case:
    """model, batches and loss as `landscape.Objective` takes them.

    logits: (model, batch) -> classes last, where targets are classes.
    batch_norm: policy of the measures.
    weights: of the batches in the mean; None: their numbers of examples.
    no_filters: parameters of two or more axes that are no weights of a layer.
    filters: parameter -> number of each coordinate's filter, where a filter is no row.
    reference: (model, batches) -> the loss of each batch, where a plain pass is not the definition.
    differences: whether the Hessian is that of central differences of the gradient, since torch's
    second derivative is wrong or missing.
    training: whether the methods train it in train mode; False where that mode draws or merges.
    tolerance: relative, of a number that is exact.
    """

    model: nn.Module
    batches: list[Any]
    loss: Loss
    logits: Loss | None = None
    batch_norm: str = "stored"
    weights: list[float] | None = None
    no_filters: tuple[str, ...] = ()
    filters: dict[str, Tensor] = field(default_factory=dict)
    reference: Callable[[nn.Module, list[Any]], list[Tensor]] | None = None
    differences: bool = False
    training: bool = True
    tolerance: float = 1e-6


def made(make: Callable[[], Case]) -> Case:
    """The case in float64, the same every time."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.random.fork_rng():
            torch.manual_seed(3)
            return make()
    finally:
        torch.set_default_dtype(before)


def uneven(*tensors: Tensor) -> list[Any]:
    """Two batches of unequal size, 3 : 2, of (x, y) pairs."""
    n = len(tensors[0]) * 3 // 5
    return [tuple(t[:n] for t in tensors), tuple(t[n:] for t in tensors)]


def labelled(n: int = 30, features: int = 5, classes: int = 3) -> list[Any]:
    """Random rows with random classes."""
    return uneven(torch.randn(n, features), torch.randint(classes, (n,)))


def pictures(n: int = 10, channels: int = 2, side: int = 5, classes: int = 3) -> list[Any]:
    """Random pictures with random classes."""
    return uneven(torch.randn(n, channels, side, side), torch.randint(classes, (n,)))


def answer(model: nn.Module, batch: Any) -> Tensor:
    """What the model makes of the input."""
    return model(batch.x)


def cross_entropy(model: nn.Module, batch: Any) -> Tensor:
    """Mean cross-entropy of the model's logits."""
    return nn.functional.cross_entropy(model(batch.x), batch.y)


def squares(model: nn.Module, batch: Any) -> Tensor:
    """Mean squared error."""
    return nn.functional.mse_loss(model(batch.x), batch.y)
