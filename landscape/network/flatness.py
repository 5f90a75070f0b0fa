"""Relative flatness of a layer as a differentiable number: Petzka et al., NeurIPS 2021 (arXiv
2001.00939); the regulariser of Adilova et al., 2023 (arXiv 2307.02337).

With row w_s of W (d, m) and H_{s,s'} (m, m) the second derivatives of the loss by rows s and s',

    κ = Σ_{s,s'} ⟨w_s, w_s'⟩ T_{s,s'},   κ̂ = ‖W‖² tr T,   T_{s,s'} = tr H_{s,s'}.

Softmax head, z = W φ + b with cross-entropy: the Hessian at z is diag(p) − p pᵀ, whatever the
label. Hence, with the mean over the examples,

    κ = mean ‖φ‖² Σ_s p_s ‖w_s − w̄‖²,   w̄ = Σ_s p_s w_s,        κ̂ = mean ‖φ‖² ‖W‖² (1 − ‖p‖²).

Both are smooth in φ, p and W, cost O(n d m) and keep their relative accuracy where p saturates:
sums run over the classes other than the likeliest one.

Linear layer whose outputs z reach the loss each by itself: T = Σ_i ‖φ_i‖² ∂²L/∂z_i², exact.

Where its positions p within an example i see one another (tokens, pixels of a convolution):
T = Σ_i Σ_{p,p'} ⟨φ_ip, φ_ip'⟩ ∂²L/∂z_ip ∂z_ip', exact.

Any other weight: κ = E⟨W Z, H[W Z]⟩ and tr T = E⟨Z, H[Z]⟩ over random signs Z, unbiased.
"""

import torch
from torch import Tensor


def kappa(phi: Tensor, p: Tensor, W: Tensor, example_weights: Tensor | float = 1.0) -> Tensor:
    """Relative flatness κ ≥ 0, shape (); unchanged when one vector is added to every row of W.

    phi: (n, m) inputs of the head, or (n, 1) their norms: nothing else of them enters.
    p: (n, d) softmax of its outputs. W: (d, m) its weight.
    example_weights: (n,) how much each example counts in the mean, on average 1.
    """
    likeliest, others = _without_the_likeliest(p)
    W = W - W.mean(0)
    norm = W.square().sum(1)
    reference = W[likeliest]
    distance = norm + norm[likeliest, None] - 2 * reference @ W.T
    shift = others @ W - others.sum(1, keepdim=True) * reference
    variance = (others * distance).sum(1) - shift.square().sum(1)
    return (example_weights * phi.square().sum(1) * variance).mean()


def kappa_hat(phi: Tensor, p: Tensor, W: Tensor, example_weights: Tensor | float = 1.0) -> Tensor:
    """Simplified relative flatness κ̂ ≥ 0, shape (); arguments as for `kappa`."""
    _, others = _without_the_likeliest(p)
    rest = others.sum(1)
    impurity = 2 * rest - rest.square() - others.square().sum(1)
    return W.square().sum() * (example_weights * phi.square().sum(1) * impurity).mean()


def of_traces(T: Tensor, W: Tensor, form: str) -> Tensor:
    """κ or κ̂ by its definition, shape (); T (d, d) and W (d, m)."""
    return (W @ W.T * T).sum() if form == "kappa" else W.square().sum() * T.trace()


def output_traces(loss: Tensor, phi: Tensor, z: Tensor, create_graph: bool = True) -> Tensor:
    """T (d, d) of a linear layer, with d products at its output, at least in float32.

    phi: (..., m) its inputs, or (..., 1) their norms. z: (..., d) its outputs, on the way to
    `loss`, which must not mix their rows. create_graph: T can be differentiated.
    """
    g = gradient(loss, z)
    squares = precise(phi).square().sum(-1, keepdim=True)
    unit = torch.eye(z.shape[-1], dtype=z.dtype, device=z.device)
    products = (product(g, z, s.expand_as(z), create_graph) for s in unit)
    return torch.stack([(squares * precise(h)).flatten(0, -2).sum(0) for h in products])


def position_traces(loss: Tensor, phi: Tensor, z: Tensor) -> Tensor:
    """T (d, d) of a layer whose P positions see one another and whose n examples do not, with P d
    products at its output: T_{s,s'} = Σ_i Σ_{p,p'} ⟨φ_ip, φ_ip'⟩ ∂²L/∂z_ips ∂z_ip's'.

    phi: (n, P, m). z: (n, P, d), on the way to `loss`.
    """
    g, gram = gradient(loss, z), phi @ phi.mT
    T = phi.new_zeros(z.shape[-1], z.shape[-1])
    for p in range(z.shape[1]):
        for s in range(z.shape[2]):
            unit = torch.zeros_like(z)
            unit[:, p, s] = 1
            T[s] += torch.einsum("iq,iqr->r", gram[:, p], product(g, z, unit, False).to(phi))
    return T


def signed(loss: Tensor, W: Tensor, Z: Tensor, form: str, create_graph: bool = True) -> Tensor:
    """Sample κ or κ̂ without bias, shape (): ⟨W Z, H[W Z]⟩ or ‖W‖² ⟨Z, H[Z]⟩.

    W: (d, ...) a weight on the way to `loss`; what follows d counts as the m inputs of an output.
    Z: random signs, (m, m) for κ and (d, m) for κ̂. create_graph: H can be differentiated; without
    it the gradient is that of κ with H held constant.
    """
    rows = W.flatten(1)
    V = rows @ Z if form == "kappa" else Z
    h = product(gradient(loss, W), W, V.view(W.shape), create_graph).flatten(1)
    if not create_graph:
        V = 2 * V - V.detach()  # the same number; its gradient also counts the V inside of H[V]
    sample = (precise(V) * precise(h)).sum()
    return sample if form == "kappa" else precise(W).square().sum() * sample


def gradient(loss: Tensor, x: Tensor) -> Tensor:
    """∂loss/∂x with a graph of its own, zeros where x does not matter."""
    return torch.autograd.grad(loss, x, create_graph=True, materialize_grads=True)[0]


def product(g: Tensor, x: Tensor, v: Tensor, create_graph: bool) -> Tensor:
    """∂²loss/∂x² v from `gradient`, zeros where the loss is linear in x."""
    if not g.requires_grad:
        return torch.zeros_like(x)
    if not create_graph:
        return pullback(g, x, v)
    return torch.autograd.grad(g, x, v, create_graph=True, materialize_grads=True)[0]


def pullback(y: Tensor, x: Tensor, v: Tensor) -> Tensor:
    """vᵀ ∂y/∂x, in the shape of x: zeros where y does not depend on it; y's graph is kept.

    v: of y's shape, a constant. The number vᵀ y is differentiated, to the same bits, not y from v
    on: for that torch compares the shapes of v and y, with sympy, whose import takes half a second.
    """
    with torch.enable_grad():
        number = torch.dot(v.detach().to(y).reshape(-1), y.reshape(-1))
    (found,) = torch.autograd.grad(number, x, retain_graph=True, materialize_grads=True)
    return found


def precise(t: Tensor) -> Tensor:
    """At least float32: curvature is small where it matters."""
    return t.float() if t.dtype in (torch.float16, torch.bfloat16) else t


def _without_the_likeliest(p: Tensor) -> tuple[Tensor, Tensor]:
    """The likeliest class (n,), and p with that class's entry zero (n, d)."""
    likeliest = p.argmax(1)
    return likeliest, p.scatter(1, likeliest[:, None], torch.zeros_like(p[:, :1]))
