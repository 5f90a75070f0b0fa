"""Solvers of the k largest eigenvalues by magnitude: (subject, k, seed) -> (values, ...).

Each starts from the model and its data, so that building graphs is in its time. Attention runs by
the kernels that can be differentiated twice. Libraries are imported where they are used.
"""

import copy

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from comparison import truth
from comparison.subjects import CRITERION, Subject
from landscape import measures

TOLERANCE = 1e-3  # of eigsh, as the documentation of curvlinops has it


def ours(subject: Subject, k: int, seed: int, setting: float = 1e-4):
    """Values, bounds, converged flags, number of products."""
    record = measures.Eigenvalues(k=k, tolerance=setting, seed=seed)(subject.objective())
    return record.values, record.bounds, record.converged, record.hvps


def our_products(subject: Subject, k: int, seed: int):
    """Our products under scipy's eigsh, without our checks."""
    objective = subject.objective()
    like = torch.zeros((), device=subject.x.device)
    return (truth.arpack(objective.hvp, subject.n, k, like, TOLERANCE, seed),)


def bare_products(subject: Subject, k: int, seed: int):
    """Double backward with the graph kept, in four lines of torch, under scipy's eigsh."""
    like = torch.zeros((), device=subject.x.device)
    product = truth.double_backward(copy.deepcopy(subject.network), subject.x, subject.y)
    return (truth.arpack(product, subject.n, k, like, TOLERANCE, seed),)


def curvlinops(subject: Subject, k: int, seed: int):
    """Its Hessian operator under scipy's eigsh."""
    from curvlinops import HessianLinearOperator

    model = copy.deepcopy(subject.network)
    with sdpa_kernel(SDPBackend.MATH):
        operator = HessianLinearOperator(
            model,
            CRITERION,
            list(model.parameters()),
            [(subject.x, subject.y)],
            check_deterministic=False,
        )
        like = torch.zeros((), device=subject.x.device)
        return (truth.arpack(lambda v: operator @ v, subject.n, k, like, TOLERANCE, seed),)


def pyhessian(subject: Subject, k: int, seed: int, setting: float = 1e-3):
    """Its power iteration on one batch; more iterations than its 100 for a stricter tolerance."""
    torch.manual_seed(seed)
    iterations = 100 if setting >= 1e-3 else 2000
    values, _ = hessian_of(subject).eigenvalues(maxIter=iterations, tol=setting, top_n=k)
    return (np.array(values),)


def hessian_of(subject: Subject):
    """PyHessian's object for one batch, whose gradient keeps its graph."""
    from pyhessian import hessian

    with sdpa_kernel(SDPBackend.MATH):
        return hessian(
            copy.deepcopy(subject.network),
            CRITERION,
            data=(subject.x, subject.y),
            cuda=subject.x.is_cuda,
        )


def lanczos(subject: Subject, k: int, seed: int, setting: float = 20):
    """hessian-eigenthings' Lanczos, with so many steps."""
    from hessian_eigenthings import lanczos as solve

    with sdpa_kernel(SDPBackend.MATH):
        result = solve(operator(subject), k=k, max_iter=int(setting), seed=seed)
    return (result.eigenvalues.numpy(force=True),)


def power(subject: Subject, k: int, seed: int, setting: float = 1e-4):
    """hessian-eigenthings' power iteration with deflation."""
    from hessian_eigenthings import deflated_power_iteration

    result = deflated_power_iteration(operator(subject), k=k, tol=setting, max_iter=2000, seed=seed)
    return (result.eigenvalues.numpy(force=True),)


def operator(subject: Subject):
    """hessian-eigenthings' operator."""
    from hessian_eigenthings import HessianOperator, supervised_loss

    loss = supervised_loss(CRITERION)
    return HessianOperator(copy.deepcopy(subject.network), [(subject.x, subject.y)], loss)
