"""Hessian-vector products by forward over reverse: the derivative of the gradient along v.

A dual number w + εv goes through a forward and a backward pass, whose ε part is ∇²L·v (Pearlmutter
1994). No graph of the gradient is built or kept.
"""

import warnings

import torch
from torch import Tensor
from torch.autograd import forward_ad

from landscape.network.higher_order import SecondOrder
from landscape.network.parameter_block import Block
from landscape.objective.derivative import total
from landscape.objective.empirical_risk import EmpiricalRisk


def forward_over_reverse(risk: EmpiricalRisk, block: Block, v: Tensor, at: Tensor) -> Tensor:
    """∇²L(at) v on a block, (m,) -> (m,), at a point `at` (n,).

    Raises NotImplementedError or RuntimeError where torch has no forward derivative of an operation
    in the model or its backward pass, as of fused attention.
    """
    risk.ranks.note(v, at)
    with forward_ad.dual_level():
        leaf = _dual(block.read(at).requires_grad_(), v.to(at))
        with SecondOrder(), risk.opened(block.parameters(at, leaf)):
            return risk.total(_tangent(total(risk.losses(g)), leaf) for g in risk.groups)


def _dual(point: Tensor, v: Tensor) -> Tensor:
    """The dual number point + εv, (m,). The first one compiles formulas by what torch itself calls
    deprecated.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*torch.jit", DeprecationWarning)
        return forward_ad.make_dual(point, v)


def _tangent(loss: Tensor, leaf: Tensor) -> Tensor:
    """The derivative of the gradient of a loss along the tangent of its leaf, (m,)."""
    zeros = torch.zeros_like(forward_ad.unpack_dual(leaf).primal, requires_grad=False)
    if not loss.requires_grad:
        return zeros
    (gradient,) = torch.autograd.grad(loss, leaf, materialize_grads=True)
    tangent = forward_ad.unpack_dual(gradient).tangent
    return zeros if tangent is None else tangent.detach()
