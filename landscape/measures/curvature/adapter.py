"""Adapter of an objective for other libraries: a copy of the model that answers a batch with its
loss, and a place to run them in where they harm nothing.
"""

import copy
import warnings
from collections.abc import Iterator, MutableMapping
from contextlib import ExitStack, contextmanager
from typing import Any, Self

import torch
from torch import Tensor, nn

from landscape.network.batch import Batch
from landscape.network.isolation import (
    differentiable_kernels,
    full_precision,
    gradients_on,
    no_autocast,
)
from landscape.network.parameter_block import Block
from landscape.objective.objective import Objective
from landscape.utils.rng import seeded


class LossModule(nn.Module):
    """A copy of the model at the objective's point; only the parameters of `block` are trainable.

    Raises ValueError for re-estimated batch-norm statistics: they tie all batches together, other
    libraries take one at a time.
    """

    def __init__(self, objective: Objective, block: Block):
        super().__init__()
        if objective.batch_norm == "reestimated":
            raise ValueError(
                "Other libraries cannot re-estimate batch-norm statistics. Use "
                'batch_norm="stored" or "batch", or backend="lanczos".'
            )
        with objective.risk.opened(objective.w):
            self.model = copy.deepcopy(objective.model)
        names = [objective.weights.names[i] for i in block.positions]
        for name, p in self.model.named_parameters():
            p.requires_grad_(name in names)
        self.loss = objective.loss

    @property
    def trainable(self) -> list[Tensor]:
        """The parameters of the block, in the order of its vectors."""
        return [p for p in self.parameters() if p.requires_grad]

    def train(self, mode: bool = True) -> Self:
        """Itself, in the modes that the objective's policy set, whatever a library asks for."""
        return self

    def forward(self, item: "Item") -> Tensor:
        """The loss; every trainable parameter has a place in its graph, as the libraries expect."""
        nothing = sum(0 * p.square().sum() for p in self.parameters())
        return self.loss(self.model, item.batch.copy()) + nothing


class Item(MutableMapping[str, Any]):
    """A batch in the place of the tensor, or of the mapping, that a library expects."""

    def __init__(self, batch: Batch):
        self.batch = batch

    def size(self, _dim: int) -> float:
        """The batch's weight in the mean, where PyHessian asks for the number of examples."""
        return self.batch.share

    def to(self, _device: Any) -> "Item":
        """Itself: it is where it should be."""
        return self

    def __getitem__(self, key: str) -> Any:
        return vars(self)[key]

    def __setitem__(self, key: str, value: Any) -> None:
        vars(self)[key] = value

    def __delitem__(self, key: str) -> None:
        del vars(self)[key]

    def __iter__(self) -> Iterator[str]:
        return iter(vars(self))

    def __len__(self) -> int:
        return len(vars(self))


@contextmanager
def isolated(objective: Objective, seed: int) -> Iterator[None]:
    """IEEE arithmetic in the weights' dtype, own random numbers, no warnings from inside."""
    dtype = torch.get_default_dtype()
    with ExitStack() as stack:
        stack.enter_context(gradients_on())
        stack.enter_context(full_precision(objective.device))
        stack.enter_context(no_autocast())
        stack.enter_context(differentiable_kernels(objective.model))
        stack.enter_context(seeded(seed, objective.device))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")  # backward(create_graph=True) warns of a reference cycle
        if objective.device.type == "cuda":
            stack.enter_context(torch.cuda.device(objective.device))
        try:
            torch.set_default_dtype(objective.w.dtype)
            yield
        finally:
            torch.set_default_dtype(dtype)
