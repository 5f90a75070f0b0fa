"""The Gauss-Newton matrix G = Jᵀ H_z J: J of the model's output z, H_z of the loss as seen from z.

Positive semi-definite for losses convex in z; the Hessian is G plus the curvature of the model
(Schraudolph 2002). With H_z of cross-entropy on logits it is the Fisher matrix.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge
from torch.utils._pytree import tree_map

from landscape.measures.curvature.cross_entropy import softmax_hessians
from landscape.network.parameter_block import Block
from landscape.objective.curvature_products import Product
from landscape.objective.derivative import total
from landscape.objective.empirical_risk import EmpiricalRisk, Terms
from landscape.objective.finite_differences import Formula
from landscape.objective.objective import Objective


class GaussNewton:
    """Makes v ↦ G v of some terms by double backward: J v is the derivative of Jᵀu, linear in u,
    along v.

    H_z of softmax cross-entropy has a closed form, see `landscape.measures.curvature.cross_entropy`
    for when it is taken; else H_z is the double backward of the loss, and no closed form is looked
    for again, since that takes a pass.
    """

    def __init__(self) -> None:
        self.is_closed = True

    def __call__(self, risk: EmpiricalRisk, terms: Terms, leaf: Tensor) -> Product:
        """The product; the model stands on `leaf` (m,).

        Raises ValueError where the loss reaches the weights otherwise than through the model's
        output.
        """
        softmax = softmax_hessians(risk, terms) if self.is_closed else None
        self.is_closed = softmax is not None
        if softmax is None:
            return by_double_backward(risk, terms, leaf)

        def bend(pushed: Sequence[Tensor]) -> Sequence[Tensor]:
            return [h(u) for h, u in zip(softmax, pushed, strict=True)]

        p = [h.p for h in softmax]
        return ThroughOutputs([h.edge for h in softmax], p, leaf, bend, sum(t.nbytes for t in p))


def by_double_backward(risk: EmpiricalRisk, terms: Terms, leaf: Tensor) -> Product:
    """v ↦ G v for any loss."""
    loss, outputs, cuts = cut_pass(risk, terms, leaf)
    if not cuts:  # nothing that the model returns depends on the block
        return torch.zeros_like
    slopes = torch.autograd.grad(loss, cuts, create_graph=True, materialize_grads=True)
    if not any(g.requires_grad for g in slopes):
        raise ValueError(
            "The loss is linear in the model's output, so its Gauss-Newton matrix is zero. Does "
            'the model compute its own loss? Let it return logits, or use curvature="hessian".'
        )
    curved = [i for i, g in enumerate(slopes) if g.requires_grad]

    def bend(pushed: Sequence[Tensor]) -> Sequence[Tensor]:
        return torch.autograd.grad(
            [slopes[i] for i in curved],
            cuts,
            [pushed[i] for i in curved],
            retain_graph=True,
            materialize_grads=True,
        )

    return ThroughOutputs(outputs, outputs, leaf, bend)


class ThroughOutputs:
    """v ↦ Jᵀ H_z J v.

    outputs: z, or their places in a graph, as functions of `leaf` (m,); like: tensors of their
    shapes. bend: J v ↦ H_z J v. held: bytes of tensors that are kept beside the graph.
    """

    def __init__(
        self,
        outputs: Sequence[Tensor] | Sequence[GradientEdge],
        like: Sequence[Tensor],
        leaf: Tensor,
        bend: Callable[[Sequence[Tensor]], Sequence[Tensor]],
        held: int = 0,
    ):
        self.outputs, self.leaf, self.bend, self.held = outputs, leaf, bend, held
        self.dual = [torch.zeros_like(z, requires_grad=True) for z in like]
        (self.pulled,) = torch.autograd.grad(outputs, leaf, self.dual, create_graph=True)

    def __call__(self, v: Tensor) -> Tensor:
        """G v, (m,) -> (m,)."""
        if not self.pulled.requires_grad:  # a backward that leaves torch: the operator's checks see
            return torch.zeros_like(v)
        pushed = torch.autograd.grad(
            self.pulled, self.dual, v, retain_graph=True, materialize_grads=True
        )
        bent = self.bend(pushed)
        return torch.autograd.grad(self.outputs, self.leaf, bent, retain_graph=True)[0]


def of_the_output(objective: Objective, block: Block) -> Formula:
    """Jᵀ (∇ℓ(z + h J v) − ∇ℓ(z − h J v)) / 2h with h J v ≈ (z(w + h v) − z(w − h v)) / 2."""

    risk = objective.risk

    def formula(v: Tensor, at: Tensor, h: float) -> Tensor:
        e = h * block.embed(v)

        def ask() -> Tensor:
            return risk.total(_difference(risk, block, group, at, e) for group in risk.groups)

        return objective.retry_on_oom(ask) / (2 * h)

    return formula


def _difference(risk: EmpiricalRisk, block: Block, terms: Terms, at: Tensor, e: Tensor) -> Tensor:
    ends = []
    for point in (at + e, at - e):
        leaf = block.read(point).requires_grad_()
        with risk.opened(block.parameters(point, leaf)):
            ends.append([z.detach() for z in cut_pass(risk, terms, leaf)[1]])
    moves = [(high - low) / 2 for high, low in zip(*ends, strict=True)]
    leaf = block.read(at).requires_grad_()
    if not moves:
        return torch.zeros_like(leaf)
    with risk.opened(block.parameters(at, leaf)):
        slopes = []
        for sign in (1, -1):
            loss, outputs, cuts = cut_pass(risk, terms, leaf, [sign * move for move in moves])
            slopes.append(torch.autograd.grad(loss, cuts, materialize_grads=True))
        change = [high - low for high, low in zip(*slopes, strict=True)]
        return torch.autograd.grad(outputs, leaf, change)[0]


def cut_pass(
    risk: EmpiricalRisk, terms: Terms, leaf: Tensor, moves: list[Tensor] | None = None
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """The loss of some terms, the outputs z as functions of `leaf`, and as leaves z + move.

    Outputs that do not depend on `leaf` are left out: their J is zero.
    """
    with _cut(risk.model, moves) as (outputs, cuts):
        try:
            loss = total(risk.losses(terms))
        except RuntimeError as error:
            if "appears to not have been used" not in str(error):
                raise
            raise ValueError(
                "Gauss-Newton needs a loss of the model's output alone. This one takes derivatives "
                'of the output by the input: use curvature="hessian".'
            ) from error
    if _depends(loss, [leaf]):
        raise ValueError(
            "Gauss-Newton needs a loss that sees the weights only through the model's output. "
            "This one reaches them in another way, as a penalty on the weights or a call of a part "
            'of the model does. Use curvature="hessian".'
        )
    if any(_depends(z, cuts) for z in outputs):
        raise ValueError(
            "Gauss-Newton needs a model that is not called on its own output. This loss does so: "
            'wrap the repeated calls in one module, or use curvature="hessian".'
        )
    return loss, outputs, cuts


@contextmanager
def _cut(
    model: nn.Module, moves: list[Tensor] | None
) -> Iterator[tuple[list[Tensor], list[Tensor]]]:
    """While open, what the model returns are leaves; yields the real outputs and those leaves."""
    outputs: list[Tensor] = []
    cuts: list[Tensor] = []

    def cut(t: Any) -> Any:
        if not (isinstance(t, Tensor) and t.requires_grad):
            return t
        move = 0 if moves is None else moves[len(cuts)]
        outputs.append(t)
        cuts.append((t.detach() + move).requires_grad_())
        return cuts[-1].clone()  # a copy, because losses may work in place

    handle = model.register_forward_hook(lambda _module, _inputs, z: tree_map(cut, z))
    try:
        yield outputs, cuts
    finally:
        handle.remove()


def _depends(y: Tensor, leaves: list[Tensor]) -> bool:
    if not y.requires_grad:
        return False
    found = torch.autograd.grad(y, leaves, torch.ones_like(y), retain_graph=True, allow_unused=True)
    return any(g is not None for g in found)
