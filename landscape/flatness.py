"""Relative flatness of a softmax head in closed form: Petzka et al., NeurIPS 2021 (arXiv
2001.00939); the regulariser of Adilova et al., 2023 (arXiv 2307.02337).

For logits z = W φ + b and cross-entropy the Hessian of the loss at z is diag(p) − p pᵀ, whatever
the label. Hence, with row w_s of W and the mean over the examples,

    κ = Σ_{s,s'} ⟨w_s, w_s'⟩ tr H_{s,s'} = mean ‖φ‖² Σ_s p_s ‖w_s − w̄‖²,   w̄ = Σ_s p_s w_s
    κ̂ = ‖W‖² tr H                        = mean ‖φ‖² ‖W‖² (1 − ‖p‖²)

Both are smooth in φ, p and W, cost O(n d m) and keep their relative accuracy where p saturates:
sums run over the classes other than the likeliest one.
"""

import torch
from torch import Tensor


def kappa(phi: Tensor, p: Tensor, W: Tensor) -> Tensor:
    """Relative flatness κ ≥ 0, shape (); unchanged when one vector is added to every row of W.

    phi: (n, m) inputs of the head. p: (n, d) softmax of its outputs. W: (d, m) its weight.
    """
    likeliest, others = _without_the_likeliest(p)
    W = W - W.mean(0)
    norm = W.square().sum(1)
    reference = W[likeliest]
    distance = norm + norm[likeliest, None] - 2 * reference @ W.T
    shift = others @ W - others.sum(1, keepdim=True) * reference
    variance = (others * distance).sum(1) - shift.square().sum(1)
    return (phi.square().sum(1) * variance).mean()


def kappa_hat(phi: Tensor, p: Tensor, W: Tensor) -> Tensor:
    """Simplified relative flatness κ̂ ≥ 0, shape (); arguments as for `kappa`."""
    _, others = _without_the_likeliest(p)
    rest = others.sum(1)
    impurity = 2 * rest - rest.square() - others.square().sum(1)
    return W.square().sum() * (phi.square().sum(1) * impurity).mean()


def _without_the_likeliest(p: Tensor) -> tuple[Tensor, Tensor]:
    """The likeliest class (n,), and p with that class's entry zero (n, d)."""
    likeliest = p.argmax(1)
    return likeliest, p.scatter(1, likeliest[:, None], torch.zeros_like(p[:, :1]))
