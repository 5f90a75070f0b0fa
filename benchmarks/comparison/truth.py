"""References in float64 by plain torch, for the accuracy of every contender."""

from collections.abc import Callable, Iterable

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor, nn
from torch.func import functional_call, jacrev, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from comparison.subjects import CRITERION, Subject


def double_backward(model: nn.Module, x: Tensor, y: Tensor) -> Callable[[Tensor], Tensor]:
    """Hessian-vector products (n,) -> (n,), the graph of the gradient kept: a few bare lines."""
    parameters = list(model.parameters())
    with sdpa_kernel(SDPBackend.MATH):
        loss = CRITERION(model(x), y)
        gradient = torch.autograd.grad(loss, parameters, create_graph=True)
    flat = torch.cat([g.reshape(-1) for g in gradient])

    def product(v: Tensor) -> Tensor:
        columns = torch.autograd.grad(flat, parameters, v, retain_graph=True)
        return torch.cat([c.reshape(-1) for c in columns])

    return product


def arpack(product, n: int, k: int, like: Tensor, tolerance: float, seed: int) -> np.ndarray:
    """The k eigenvalues of largest magnitude by scipy's eigsh, from products, by |λ| descending."""
    dtype = np.float64 if like.dtype == torch.float64 else np.float32

    def matvec(v: np.ndarray) -> np.ndarray:
        return product(torch.from_numpy(v.reshape(-1)).to(like)).numpy(force=True)

    operator = LinearOperator((n, n), matvec=matvec, dtype=dtype)
    start = np.random.default_rng(seed).standard_normal(n).astype(dtype)
    values = eigsh(operator, k=k, which="LM", tol=tolerance, v0=start, return_eigenvectors=False)
    return values[np.argsort(-np.abs(values))].astype(float)


def eigenvalues(subject: Subject, k: int) -> np.ndarray:
    """The k + 5 eigenvalues of largest magnitude in float64."""
    double = subject.double
    like = torch.zeros((), dtype=torch.float64, device=subject.x.device)
    product = double_backward(double.network, double.x, double.y)
    return arpack(product, subject.n, k + 5, like, 1e-8, seed=7)


def error(values, exact: np.ndarray) -> float:
    """The largest distance of a value from the eigenvalue it is paired with, in units of max|λ|.

    Paired one to one; an eigenvalue that was left out while smaller ones were found counts by how
    much larger it is.
    """
    values = np.asarray(values, float)
    rows, columns = linear_sum_assignment(np.abs(values[:, None] - exact))
    worst = np.abs(values[rows] - exact[columns]).max()
    missed = np.abs(np.delete(exact, columns)).max(initial=0) - np.abs(values).min()
    return float(max(worst, missed) / np.abs(exact[0]))


def trace(subject: Subject, chunk: int = 20) -> float:
    """tr ∇²L of a network that is piecewise linear in each single weight.

    Then the diagonal of the Hessian is that of the Gauss-Newton matrix Jᵀ(diag p - p pᵀ)J.
    """
    double = subject.double
    model = double.network
    weights = {name: p.detach() for name, p in model.named_parameters()}

    def logits(w, x):
        return functional_call(model, w, (x[None],))[0]

    total = 0.0
    for x in double.x.split(chunk):
        with torch.no_grad():
            p = model(x).softmax(1)
        rows = vmap(jacrev(logits), (None, 0))(weights, x)
        jacobian = torch.cat([r.flatten(2) for r in rows.values()], 2)  # (chunk, classes, n)
        mean = torch.einsum("bc,bcn->bn", p, jacobian)
        total += (p * jacobian.square().sum(2)).sum().item() - mean.square().sum().item()
    return total / len(subject.x)


@torch.no_grad()
def losses(subject: Subject, points: Iterable[Tensor]) -> np.ndarray:
    """The loss at each point (n,), in float64."""
    double, values = subject.double, []
    for point in points:
        vector_to_parameters(point.double(), double.network.parameters())
        values.append(CRITERION(double.network(double.x), double.y).item())
    return np.array(values)


def sam_path(subject: Subject, steps: int, rho: float, sgd: dict) -> Tensor:
    """The weights (n,) after SAM as its paper writes it: w ← w - lr ∇L(w + rho g/‖g‖)."""
    model, x = subject.copy().train(), subject.x
    w = parameters_to_vector(model.parameters()).detach()
    momentum = torch.zeros_like(w)

    def gradient(at: Tensor) -> Tensor:
        vector_to_parameters(at, model.parameters())
        loss = CRITERION(model(x), subject.y)
        return torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(model.parameters()))])

    for _ in range(steps):
        g = gradient(w)
        g = gradient(w + rho * g / g.norm()) + sgd["weight_decay"] * w
        momentum = sgd["momentum"] * momentum + g
        w = w - sgd["lr"] * momentum
    return w
