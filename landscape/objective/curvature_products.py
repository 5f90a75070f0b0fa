"""Products of a curvature matrix with vectors by double backward: kept graphs, or rebuilt ones."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from landscape.network import convolution
from landscape.network.batch import dense_parts
from landscape.network.higher_order import (
    DoubleBackward,
    has_custom_functions,
    second_derivatives,
)
from landscape.network.isolation import full_precision
from landscape.network.parameter_block import Block
from landscape.objective.derivative import derivative, total
from landscape.objective.empirical_risk import EmpiricalRisk, Terms
from landscape.utils.memory import graph_bytes

Product = Callable[[Tensor], Tensor]
Build = Callable[[EmpiricalRisk, Terms, Tensor], Product]


class GradientGraph:
    """v ↦ ∇²ℓ v by the graph of ∇ℓ (m,), kept with respect to `leaf` (m,)."""

    def __init__(self, loss: Tensor, leaf: Tensor):
        self.loss, self.leaf = loss, leaf
        self.gradient = derivative(loss, leaf, None, create_graph=True)

    def __call__(self, v: Tensor) -> Tensor:
        """The product with v (m,)."""
        return derivative(self.gradient, self.leaf, v)

    @property
    def has_custom_functions(self) -> bool:
        """Test whether the loss uses a custom function beside those that replace torch's."""
        return has_custom_functions(self.loss, known=(convolution.NODE,))


def hessian(risk: EmpiricalRisk, terms: Terms, leaf: Tensor) -> GradientGraph:
    """v ↦ ∇²(Σ fraction·loss) v by the gradient's graph; the model stands on `leaf` (m,)."""
    return GradientGraph(total(risk.losses(terms)), leaf)


class Products:
    """v ↦ A v for a curvature matrix A, the sum of what `build` makes of each group of batches: a
    function, whose `held`, if it has one, is the number of bytes that it keeps beside graphs.

    The graphs of the last point are kept for further products while they fit `memory` bytes, by
    default a share of what is free, else they are rebuilt group by group. Re-estimated batch-norm
    statistics tie all batches into one graph, which is kept until memory runs out.
    keeps: whether graphs are kept; None before the first product.
    looks: how often graphs of the loss were looked at for custom functions: whenever they are
    kept, and for the first product where they are not. has_custom_functions: what was found last.
    """

    def __init__(self, build: Build, block: Block, memory: int | None = None):
        self.build, self.block, self.memory = build, block, memory
        self.keeps: bool | None = None
        self.looks, self.has_custom_functions = 0, False
        self._kept: tuple[Tensor, list[Product]] | None = None

    def __call__(self, risk: EmpiricalRisk, v: Tensor, at: Tensor) -> Tensor:
        """A v at the point `at` (n,), for v (m,).

        Raises NoSecondDerivative, a ValueError, where torch has no second derivative.
        """
        risk.ranks.note(v, at)
        with second_derivatives():
            return self._product(risk, v, at)

    def _product(self, risk: EmpiricalRisk, v: Tensor, at: Tensor) -> Tensor:
        if self._kept is None or not torch.equal(self._kept[0], at):
            self._kept = None
            if self.keeps is None:  # opened by itself: a pass may move buffers and other state
                with self._opened(risk, at) as leaf:
                    self.keeps = risk.ranks.all(self._fits(risk, leaf))
            with self._opened(risk, at) as leaf:
                if not self.keeps:
                    return risk.total(self._rebuilt(risk, v, leaf))
                products = [self.build(risk, group, leaf) for group in risk.groups]
                self._kept = at.clone(), products
                self._looked(map(_has_custom_functions, products))
        with full_precision(risk.device):
            return risk.total(product(v) for product in self._kept[1])

    def _rebuilt(self, risk: EmpiricalRisk, v: Tensor, leaf: Tensor) -> Iterator[Tensor]:
        """The product with v of each group, whose graph is let go."""
        found = []
        for group in risk.groups:
            product = self.build(risk, group, leaf)
            if not self.looks:
                found.append(_has_custom_functions(product))
            yield product(v)
        if not self.looks:
            self._looked(found)

    def _looked(self, found: Iterable[bool]) -> None:
        self.looks, self.has_custom_functions = self.looks + 1, any(found)

    @contextmanager
    def _opened(self, risk: EmpiricalRisk, at: Tensor) -> Iterator[Tensor]:
        """The model stands at a point (n,); yields the leaf of the block's coordinates, (m,)."""
        leaf = self.block.read(at).requires_grad_()
        with DoubleBackward(), risk.opened(self.block.parameters(at, leaf)):
            yield leaf

    @property
    def kept_graphs(self) -> list[GradientGraph]:
        """The graphs of the loss that are kept, one for each group; none between products that
        build their own.
        """
        kept = [] if self._kept is None else self._kept[1]
        return [product for product in kept if isinstance(product, GradientGraph)]

    def release_graphs(self) -> bool:
        """Keep no graphs from here on. Returns whether any may have been kept."""
        kept = self.keeps is not False
        self.keeps, self._kept = False, None
        return kept

    def _fits(self, risk: EmpiricalRisk, leaf: Tensor) -> bool:
        """Test whether all graphs fit `memory`, judged by what the first one saves."""
        saved: dict[int, int] = {}

        def count(t: Tensor) -> Tensor:
            for dense in dense_parts(t):
                storage = dense.untyped_storage()
                saved[storage.data_ptr()] = storage.nbytes()
            return t.detach()  # an output itself would keep its graph alive for ever

        first = risk.groups[0]
        try:
            with torch.autograd.graph.saved_tensors_hooks(count, lambda t: t), _hooked() as hooks:
                product = self.build(risk, first, leaf)
        except RuntimeError as error:
            if "saved tensor hooks" in str(error):  # torch.func inside the loss allows none
                return False
            raise
        if hooks or _recomputes(risk.model, product, leaf):
            return False
        if len(first) > 1:  # one graph by nature
            return True
        ((batch, _),) = first
        memory = graph_bytes(risk.device) if self.memory is None else self.memory
        kept = sum(saved.values()) + getattr(product, "held", 0)
        return kept * risk.examples / batch.size <= memory


def _has_custom_functions(product: Product) -> bool:
    return isinstance(product, GradientGraph) and product.has_custom_functions


@contextmanager
def _hooked() -> Iterator[list[str]]:
    """Notes hooks of saved tensors that model or loss set while open, as activation checkpointing
    does: their products are right only while the model stands where the graph was made.
    """
    kind = torch.autograd.graph.saved_tensors_hooks
    enter, entered = kind.__enter__, list[str]()

    def noted(hooks: torch.autograd.graph.saved_tensors_hooks) -> None:
        entered.append(type(hooks).__name__)
        enter(hooks)

    try:
        kind.__enter__ = noted  # type: ignore[method-assign]
        yield entered
    finally:
        kind.__enter__ = enter  # type: ignore[method-assign]


def _recomputes(model: nn.Module, product: Product, leaf: Tensor) -> bool:
    """Test whether a product runs modules again: then it is right only while the model stands where
    its graph was made.
    """
    calls: list[nn.Module] = []
    with ExitStack() as hooks:
        for module in model.modules():
            handle = module.register_forward_pre_hook(lambda m, _: calls.append(m))
            hooks.callback(handle.remove)
        product(torch.zeros_like(leaf))
    return bool(calls)
