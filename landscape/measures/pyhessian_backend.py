"""A second opinion on eigenvalues: the power iteration of PyHessian (Yao et al. 2020, arXiv
1912.07145).

PyHessian 0.1 switches the model to eval mode, leaves gradients behind, knows only float32 and draws
from torch's global generator: it gets a copy of the model that stands at the objective's point.
"""

import copy
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from landscape import batch_norm
from landscape.batch import Batch
from landscape.isolation import full_precision, seeded
from landscape.objective import Objective

ITERATIONS = 100  # per eigenvalue: PyHessian's own default


def power_iteration(
    objective: Objective, k: int, tolerance: float, max_hvps: int | None, seed: int
) -> tuple[Tensor, Tensor, int]:
    """Values (k,) float64 on the CPU, by |θ| descending, unit vectors (n, k), number of HVPs.

    tolerance: PyHessian's own stop rule, the relative change of an estimate in one iteration. It
    says little about the error: judge by residuals.

    Raises ValueError where PyHessian is missing, and for re-estimated batch-norm statistics: they
    tie all batches together, PyHessian takes one at a time.
    """
    if objective.batch_norm == "reestimated":
        raise ValueError(
            'PyHessian cannot re-estimate batch-norm statistics. Use batch_norm="stored" or '
            '"batch", or backend="lanczos".'
        )
    loader = _Loader(objective.batches)
    with _isolated(objective, seed):
        hessian = _pyhessian()(
            _Loss(objective),
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


class _Loss(nn.Module):
    """A copy of the model at the objective's point that answers a batch with its loss."""

    def __init__(self, objective: Objective):
        super().__init__()
        with objective.opened(objective.w):
            self.model = copy.deepcopy(objective.model)
        for name, p in self.model.named_parameters():
            p.requires_grad_(name in objective.layers)
        self.loss, self.batch_norm = objective.loss, objective.batch_norm

    def forward(self, item: "_Item") -> Tensor:
        if self.batch_norm == "batch":
            batch_norm.use_batch_statistics(self.model)
        nothing = sum(0 * p.square().sum() for p in self.parameters() if p.requires_grad)
        return self.loss(self.model, item.batch) + nothing  # PyHessian needs every gradient's graph


class _Item:
    """A batch in the place of the tensor that PyHessian expects: it asks for size and device."""

    def __init__(self, batch: Batch):
        self.batch = batch

    def size(self, _dim: int) -> float:
        return self.batch.share

    def to(self, _device: Any) -> "_Item":
        return self


class _Loader:
    """Pairs as a DataLoader yields them; each pass over them is one product."""

    def __init__(self, batches: tuple[Batch, ...]):
        self.items, self.passes = [_Item(batch) for batch in batches], 0

    def __iter__(self) -> Iterator[tuple[_Item, _Item]]:
        self.passes += 1
        return iter([(item, item) for item in self.items])


@contextmanager
def _isolated(objective: Objective, seed: int) -> Iterator[None]:
    """IEEE arithmetic in the weights' dtype, own random numbers, no warnings from inside."""
    dtype = torch.get_default_dtype()
    with ExitStack() as stack:
        stack.enter_context(full_precision(objective.device))
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        stack.enter_context(seeded(seed, objective.device))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")  # backward(create_graph=True) warns of a reference cycle
        if objective.device.type == "cuda":
            stack.enter_context(torch.cuda.device(objective.device))
        try:
            torch.set_default_dtype(objective.w.dtype)
            yield
        finally:
            torch.set_default_dtype(dtype)


def _pyhessian() -> Callable[..., Any]:
    try:
        from pyhessian import hessian
    except ImportError:
        raise ValueError(
            'backend="pyhessian" needs the package pyhessian. Install it (pip install '
            'pyhessian==0.1) or use backend="lanczos".'
        ) from None
    return hessian
