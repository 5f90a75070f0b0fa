"""Pass through the model: at a point, with its own random draws, in the walker's precision."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from landscape.methods.walker.pass_gradient import PassGradient, differentiate
from landscape.methods.walker.step_state import StepState
from landscape.network.batch import Batch, LossFn, scalar
from landscape.network.graph_leaves import check_not_captured, graph_leaves
from landscape.network.higher_order import SecondOrder, has_custom_functions, second_derivatives
from landscape.network.isolation import exact_embeddings
from landscape.network.weights import Weights, unwritten
from landscape.utils.rng import drawn, seed_of, seeded_everywhere

CUSTOM = (
    "The method differentiates an autograd.Function of yours twice. If its backward leaves the "
    "operations of torch, products with the Hessian are wrong and torch says nothing: write it "
    'with them, or see that torch.autograd.gradgradcheck passes; LETS has hessian="difference".'
)


class Passes:
    """The passes of a step, counted from 0, as their draws depend on it.

    loss, seed, same_mask, autocast: as a walker has them. state: what the modules carry between
    passes. others: tensors outside the model that the walker's loss depends on, as parameters of a
    criterion, by id; empty before the step's first pass.
    """

    def __init__(
        self,
        model: nn.Module,
        weights: Weights,
        loss: LossFn,
        seed: int,
        same_mask: bool,
        autocast: torch.dtype | None,
    ):
        self.model, self.weights, self.state = model, weights, StepState(model, loss)
        self.seed, self.same_mask, self.autocast = seed, same_mask, autocast
        self.device = weights.parameters[0].device
        self._looked = False  # at the graph of a first product
        self._names = dict(zip(map(id, weights.parameters), weights.names, strict=True))
        self.begin(0)

    def begin(self, step: int) -> None:
        """Count the passes of another step."""
        self.step, self.count = step, 0
        self.others: dict[int, Tensor] = {}
        self.state.forget()

    @contextmanager
    def opened(self, point: Tensor | Sequence[Tensor] | None) -> Iterator[None]:
        """The model stands at a point, None: where it is, with the random draws of this pass."""
        mask = 0 if self.same_mask else self.count
        self.count += 1
        with seeded_everywhere(seed_of(self.seed, self.step, mask), self.device):
            if point is None:
                yield
                return
            values = [point] if isinstance(point, Tensor) else point
            still = unwritten(values, compare=self.step <= 1)
            with self.weights.substituted(point), still:
                yield

    @contextmanager
    def aside(self) -> Iterator[None]:
        """While open, passes draw as the next one of the step will, which they do not shift."""
        count = self.count
        try:
            yield
        finally:
            self.count = count

    @contextmanager
    def stateless(self) -> Iterator[None]:
        """A look of several passes in one, after which there must be nothing to keep.

        Raises RuntimeError for a model that moves its state in it, or draws.
        """
        with self.state.look(still=True), self.aside(), self.opened(None):
            before = drawn()
            yield
            if drawn() != before:
                raise RuntimeError("the model draws in its passes")

    def value(self, loss: LossFn, batch: Batch) -> Tensor:
        """The loss, in a block of autocast of its own, since it caches casts of weights (R6)."""
        device = self.device.type
        if self.autocast is None and not torch.is_autocast_enabled(device):
            return scalar(loss(self.model, batch))
        with torch.autocast(device, dtype=self.autocast, enabled=self.autocast is not None):
            return scalar(loss(self.model, batch))

    def product(self, loss: LossFn, batch: Batch, leaf: Tensor, v: Tensor) -> Tensor:
        """∇²L·v, (n,), of one pass at a leaf (n,), by double backward.

        Warns once where a custom autograd.Function is differentiated twice.
        """
        kernels, tables = sdpa_kernel(SDPBackend.MATH), exact_embeddings()
        with self.opened(leaf), kernels, tables, SecondOrder(), second_derivatives():
            value = self.value(loss, batch)
            if not self._looked and has_custom_functions(value):
                warnings.warn(CUSTOM, stacklevel=2)
            self._looked = True
            g = _gradient(value, leaf, create_graph=True)
            return _gradient(g, leaf, v)

    def gradient(self, value: Tensor, leaves: Sequence[Tensor], is_loss: bool) -> PassGradient:
        """Differentiate a value at the parameters' leaves. is_loss: it is the walker's own loss.

        Each such graph is searched for other leaves: micro-batches may have different criteria.
        """
        others: Sequence[Tensor] = ()
        if is_loss:
            substitutes = set(map(id, leaves))
            others = [t for t in graph_leaves(value) if id(t) not in substitutes]
            check_not_captured(others, self._names)
            self.others.update({id(t): t for t in others})
        return differentiate(value, leaves, others)


def _gradient(
    y: Tensor, leaf: Tensor, v: Tensor | None = None, create_graph: bool = False
) -> Tensor:
    if not y.requires_grad:
        return torch.zeros_like(leaf)
    (g,) = torch.autograd.grad(y, leaf, v, create_graph=create_graph, materialize_grads=True)
    return g
