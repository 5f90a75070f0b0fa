"""A second opinion on eigenvalues: the Hessian operator of curvlinops with scipy's `eigsh`
(ARPACK).

curvlinops 3.0 differentiates by `jvp(jacrev(loss))`, which is wrong for affine layer norm, instance
norm and batch norm with batch statistics (torch 2.13): residuals of our own products show it.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from landscape.measures.curvature.adapter import Item, LossModule, isolated
from landscape.network.parameter_block import Block
from landscape.objective.objective import Objective
from landscape.utils.optional import optional

ARPACK = {"magnitude": "LM", "largest": "LA", "smallest": "SA", "both": "BE"}


def arpack(
    objective: Objective,
    block: Block,
    k: int,
    which: str,
    tolerance: float,
    max_hvps: int | None,
    seed: int,
) -> tuple[Tensor, Tensor, int]:
    """Values (p,) float64 on the CPU in the order of `which`, unit vectors (m, p), number of HVPs;
    p = k, or 2k for both ends, and fewer where ARPACK did not converge.

    tolerance: ARPACK's own, of the residual in units of |θ|.

    Raises ValueError where curvlinops is missing, for re-estimated batch-norm statistics, and for
    as many pairs as the matrix has.
    """
    from scipy.sparse.linalg import ArpackNoConvergence, eigsh

    pairs = 2 * k if which == "both" else k
    if pairs >= block.n:
        raise ValueError(f"ARPACK finds fewer pairs than the matrix has, {block.n}. Got {pairs}.")
    with isolated(objective, seed):
        matrix = _Counted(objective, block)
        basis = min(block.n, max(2 * pairs + 1, 20))
        start = torch.randn(block.n, dtype=torch.float64).numpy()
        limit = None if max_hvps is None else max(1, max_hvps // (basis - pairs))
        try:
            theta, vectors = eigsh(
                matrix.as_scipy, pairs, which=ARPACK[which], v0=start, ncv=basis, tol=tolerance,
                maxiter=limit,
            )  # fmt: skip
        except ArpackNoConvergence as stopped:
            theta, vectors = stopped.eigenvalues, stopped.eigenvectors
    rank = {"largest": -theta, "smallest": theta}.get(which, -np.abs(theta))
    order = np.argsort(rank, kind="stable")
    found = torch.from_numpy(vectors[:, order].astype(np.float64)).to(objective.w)
    return torch.from_numpy(theta[order].astype(np.float64)), found, matrix.products


class _Counted:
    """curvlinops' Hessian of the block, and how many products were asked of it."""

    def __init__(self, objective: Objective, block: Block):
        self.products = 0
        model = LossModule(objective, block)
        nothing = torch.zeros(1, device=objective.device)
        self.hessian: Any = optional("curvlinops", "bench").HessianLinearOperator(
            model,
            _Given(),
            model.trainable,
            [(Item(batch), nothing) for batch, _ in objective.risk.terms],
            check_deterministic=False,
            batch_size_fn=lambda item: item.size(0),
        )
        self.like = objective.w

    @property
    def as_scipy(self) -> Any:
        from scipy.sparse.linalg import LinearOperator

        def product(v: Any) -> Any:
            self.products += 1
            column = torch.from_numpy(np.asarray(v).reshape(-1)).to(self.like)
            return (self.hessian @ column).double().numpy(force=True)

        return LinearOperator(self.hessian.shape, matvec=product, dtype=np.float64)


class _Given(nn.Module):
    """The loss that the stand-in has computed already, as a loss function of curvlinops."""

    reduction = "mean"

    def forward(self, loss: Tensor, _nothing: Tensor) -> Tensor:
        return loss
