"""A second opinion on eigenvalues: the power iteration of PyHessian (Yao et al. 2020, arXiv
1912.07145).

PyHessian 0.1 switches the model to eval mode, leaves gradients behind, knows only float32 and draws
from torch's global generator: it gets a copy of the model that stands at the objective's point.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from landscape.measures.curvature.adapter import Item, LossModule, isolated
from landscape.network.parameter_block import Block
from landscape.objective.empirical_risk import Terms
from landscape.objective.objective import Objective

ITERATIONS = 100  # per eigenvalue: PyHessian's own default


def power_iteration(
    objective: Objective,
    block: Block,
    k: int,
    _which: str,
    tolerance: float,
    max_hvps: int | None,
    seed: int,
) -> tuple[Tensor, Tensor, int]:
    """Values (k,) float64 on the CPU, by |θ| descending, unit vectors (m, k), number of HVPs.

    tolerance: PyHessian's own stop rule, the relative change of an estimate in one iteration. It
    says little about the error: judge by residuals.

    Raises ValueError where PyHessian is missing, and for re-estimated batch-norm statistics.
    """
    loader = _Loader(objective.risk.terms)
    model = LossModule(objective, block)
    with isolated(objective, seed):
        hessian = _pyhessian()(
            model,
            lambda loss, _: loss,
            dataloader=loader,
            cuda=objective.device.type == "cuda",
        )
        iterations = ITERATIONS if max_hvps is None else max(2, max_hvps // k)
        values, vectors = hessian.eigenvalues(maxIter=iterations, tol=tolerance, top_n=k)
    theta = torch.tensor(values, dtype=torch.float64)
    order = theta.abs().argsort(descending=True)
    flat = torch.stack([torch.cat([part.reshape(-1) for part in v]) for v in vectors], 1)
    flat = (flat / flat.norm(dim=0)).to(objective.w)
    return theta[order], flat[:, order.to(flat.device)], loader.passes


class _Loader:
    """Pairs as a DataLoader yields them; each pass over them is one product."""

    def __init__(self, terms: Terms):
        self.items, self.passes = [Item(batch) for batch, _ in terms], 0

    def __iter__(self) -> Iterator[tuple[Item, Item]]:
        self.passes += 1
        return iter([(item, item) for item in self.items])


def _pyhessian() -> Callable[..., Any]:
    try:
        from pyhessian import hessian
    except ImportError:
        raise ValueError(
            'backend="pyhessian" needs the package pyhessian. Install it (pip install '
            'pyhessian==0.1) or use backend="lanczos".'
        ) from None
    return hessian
