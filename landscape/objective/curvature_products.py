"""Products of a curvature matrix with vectors by double backward: kept graphs, or rebuilt ones."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from functools import reduce
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from landscape.network.batch import Batch, scalar
from landscape.network.higher_order import SecondOrder
from landscape.network.isolation import full_precision
from landscape.network.parameter_block import Block

if TYPE_CHECKING:
    from landscape.objective.objective import Objective

Part = Sequence[tuple[Batch, float]]  # batches with their shares of the mean
Product = Callable[[Tensor], Tensor]
Build = Callable[["Objective", Part, Tensor], Product]


def hessian(objective: "Objective", part: Part, leaf: Tensor) -> Product:
    """v ↦ ∇²(Σ share·loss) v by the gradient's graph; `leaf` (m,) is what the model stands on."""
    loss = sum(share * scalar(objective.loss(objective.model, batch)) for batch, share in part)
    gradient = derivative(loss, leaf, None, create_graph=True)
    return lambda v: derivative(gradient, leaf, v)


class Products:
    """v ↦ A v for a curvature matrix A, the sum of what `build` makes of each batch.

    The graphs of the last point are kept for further products while they fit the objective's
    `memory`, else they are rebuilt batch by batch. Re-estimated batch-norm statistics tie all
    batches into one graph, which is kept until memory runs out.
    """

    def __init__(self, build: Build, block: Block):
        self.build, self.block = build, block
        self.keeps: bool | None = None  # known after the first product
        self._kept: tuple[Tensor, list[Product]] | None = None

    def __call__(self, objective: "Objective", v: Tensor, at: Tensor) -> Tensor:
        """A v at the point `at` (n,), for v (m,)."""
        return objective.fitting(lambda: self._product(objective, v, at), self)

    def let_go(self) -> bool:
        """Keep no graphs from here on. Whether any may have been kept."""
        kept = self.keeps is not False
        self.keeps, self._kept = False, None
        return kept

    def _product(self, objective: "Objective", v: Tensor, at: Tensor) -> Tensor:
        if self._kept is None or not torch.equal(self._kept[0], at):
            self._kept = None
            leaf = self.block.read(at).requires_grad_()
            with objective.opened(self.block.parameters(at, leaf)), SecondOrder():
                parts = _parts(objective)
                if self.keeps is None:
                    self.keeps = self._fits(objective, parts, leaf)
                if not self.keeps:
                    return total(self.build(objective, part, leaf)(v) for part in parts)
                products = [self.build(objective, part, leaf) for part in parts]
                self._kept = at.clone(), products
        with full_precision(objective.device):
            return total(product(v) for product in self._kept[1])

    def _fits(self, objective: "Objective", parts: list[Part], leaf: Tensor) -> bool:
        """Whether all graphs can be kept and fit `memory`, judged by what the first one saves."""
        saved: dict[int, int] = {}

        def count(t: Tensor) -> Tensor:
            storage = t.untyped_storage()
            saved[storage.data_ptr()] = storage.nbytes()
            return t

        with torch.autograd.graph.saved_tensors_hooks(count, lambda t: t):
            product = self.build(objective, parts[0], leaf)
        if _recomputes(objective.model, product, leaf):
            return False
        if len(parts[0]) > 1:  # one graph by nature
            return True
        ((first, _),) = parts[0]
        return sum(saved.values()) * objective.examples / first.size <= objective.memory


def _recomputes(model: nn.Module, product: Product, leaf: Tensor) -> bool:
    """Whether a product runs modules again (activation checkpointing): then it is right only while
    the model stands where its graph was made.
    """
    calls: list[nn.Module] = []
    with ExitStack() as hooks:
        for module in model.modules():
            handle = module.register_forward_pre_hook(lambda m, _: calls.append(m))
            hooks.callback(handle.remove)
        product(torch.zeros_like(leaf))
    return bool(calls)


def _parts(objective: "Objective") -> list[Part]:
    pairs = list(zip(objective.batches, objective.shares, strict=True))
    return [pairs] if objective.batch_norm == "reestimated" else [[pair] for pair in pairs]


def total(parts: Iterable[Tensor]) -> Tensor:
    """The sum of tensors, of which one at a time is needed."""
    return reduce(Tensor.add, parts)


def derivative(y: Any, leaf: Tensor, v: Tensor | None, create_graph: bool = False) -> Tensor:
    """vᵀ dy/dleaf, shape (m,); zeros where y does not depend on the point.

    Without v, of a number y; its graph is kept where one is created. With v it is always kept.
    """
    if not y.requires_grad:
        return torch.zeros_like(leaf)
    (g,) = torch.autograd.grad(
        y,
        leaf,
        None if v is None else v.to(y),
        create_graph=create_graph,
        retain_graph=v is not None or create_graph,
        materialize_grads=True,
    )
    return g
