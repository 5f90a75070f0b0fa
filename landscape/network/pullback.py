"""Derivative of an output by an input, contracted with a vector at the output."""

import torch
from torch import Tensor


def pullback(y: Tensor, x: Tensor, v: Tensor) -> Tensor:
    """vᵀ ∂y/∂x, in the shape of x: zeros where y does not depend on it; y's graph is kept.

    v: of y's shape, a constant. The number vᵀ y is differentiated, to the same bits, not y from v
    on: for that torch compares the shapes of v and y, with sympy, whose import takes half a second.
    """
    with torch.enable_grad():
        number = torch.dot(v.detach().to(y).reshape(-1), y.reshape(-1))
    (found,) = torch.autograd.grad(number, x, retain_graph=True, materialize_grads=True)
    return found
