"""Trace of the curvature: n times its mean over all directions."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from landscape.linalg import MatVec, probes, trace
from landscape.linalg.quadratic_forms import project_out
from landscape.measures.context import Progress, shows_progress, signature
from landscape.measures.curvature import of_sharded
from landscape.measures.curvature.operator import Operator, operator
from landscape.measures.curvature.rows import rows_of
from landscape.measures.rows.shared_rows import Keep
from landscape.network.precision import arithmetic_of
from landscape.objective.objective import Objective
from landscape.records import EigenvaluesRecord, TraceRecord
from landscape.utils import checks
from landscape.utils.memory import basis_bytes

METHODS = ("layers", "krylov", "hutch++", "hutchinson")
LEAST = 24  # products: for checks, a basis, and directions enough for an interval


@dataclass(frozen=True)
class Trace:
    """Trace of ∇²L(w), with a 95 % interval.

    tr H = Σ_l tr H_ll over the layers l, and of each tr H_ll = tr(V H_ll Vᵀ) + E[xᵀH_ll x], where
    the rows of V are an orthonormal basis of a Krylov space and x is random in its orthogonal
    complement. Curvature between layers has no trace, but scatters xᵀHx
    (see `landscape.linalg.block_trace`). The unit is that of the loss per squared unit of w.

    tolerance: target half-width of the interval, relative to the value.
    max_hvps: budget of Hessian-vector products. When it runs out first, `converged` is False and
    the interval is wider, as where positive and negative eigenvalues of a layer cancel.
    method: "layers"; "krylov", the same without blocks; "hutch++", with a basis from random
    products (Meyer et al. 2021); or "hutchinson", random directions alone.
    curvature: "hessian", "gauss-newton", "fisher" or "empirical-fisher".
    layer: name of a module; selects the diagonal block of its parameters.
    seed: seed of the random directions.
    precision: of the products on CUDA: "ieee", "tf32", or "auto", which is ieee; with "tf32"
    the interval includes twice the measured error of xᵀHx.

    Defaults are the project's own. Raises ValueError for settings out of range, and for a curvature
    that the loss does not have.

    Example: L(w) = (9 w₁² + w₂²)/2, whose Hessian is diag(9, 1).

    >>> import torch
    >>> import landscape as ls
    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> batch = ls.Batch(torch.diag(torch.tensor([3.0, 1.0])), torch.zeros(2, 1))
    >>> mse = lambda model, batch: (model(batch.x) - batch.y).square().mean()
    >>> objective = ls.Objective(model, [batch], mse)
    >>> round(ls.measures.Trace()(objective).value, 4)
    10.0
    """

    takes_sharded: ClassVar[bool] = True
    tolerance: float = 0.01
    max_hvps: int = 300
    method: str = "layers"
    curvature: str = "hessian"
    layer: str | None = None
    seed: int = 0
    precision: str = "auto"

    over_ranks: ClassVar[bool] = True

    def __post_init__(self) -> None:
        checks.typed(self)
        arithmetic_of(self.precision)
        checks.non_negative(tolerance=self.tolerance)
        checks.at_least(LEAST, max_hvps=self.max_hvps)
        checks.one_of(METHODS, method=self.method)

    @property
    def splits_into(self) -> str:
        """Random directions where they are all; where a basis grows by what the ones before have
        told, the trace stays whole.
        """
        return "directions" if self.method == "hutchinson" else ""

    @shows_progress
    def __call__(
        self,
        objective: Objective,
        pairs: EigenvaluesRecord | None = None,
        *,
        keep: Keep = None,
        progress: Progress | None = None,
    ) -> TraceRecord:
        """Estimate the trace at the objective's point.

        pairs: eigenpairs of the same curvature, as `Eigenvalues` returned them. Their share of the
        trace is taken as known instead of being estimated again; they belong to the whole matrix,
        so "krylov" stands in for "layers".
        keep: a file for the directions of "hutchinson" until all are done, as that of `Surface`.
        progress: counts Hessian-vector products; the total, `max_hvps`, is an upper limit.
        """
        if getattr(objective, "is_sharded", False):
            return of_sharded.trace(self, objective, progress)  # type: ignore[arg-type]
        matrix = operator(objective, self.curvature, self.layer, self.seed, self.precision)
        matvec, known = (
            (matrix.matvec, 0.0) if pairs is None else _without(matrix, pairs, self.seed)
        )
        method = "krylov" if self.method == "layers" and pairs is not None else self.method
        spent, most = matrix.count, self.max_hvps - matrix.count

        def tell(done: int, total: int = most) -> None:
            if progress is not None:
                progress(spent + done, spent + total)

        rows = None
        if self.splits_into and pairs is None:
            rows = rows_of(keep, self, matrix, progress=tell, most=most)
        found = trace(
            matvec,
            matrix.like,
            method="krylov" if method == "layers" else method,
            blocks=matrix.block.module_sizes if method == "layers" else None,
            tolerance=self.tolerance,
            max_matvecs=most,
            memory=min(objective.ranks.gather(basis_bytes(matrix.like.device))),
            seed=self.seed,
            known=known,
            error=max(matrix.error, 2 * matrix.form_error),
            callback=None if rows else tell,
            rows=rows,
        )
        hvps = spent + found.matvecs
        if rows:
            rows.delete()
        if progress is not None:
            progress(hvps, hvps)
        return TraceRecord(
            value=found.value,
            stderr=found.stderr,
            low=found.low,
            high=found.high,
            draws=found.draws,
            deflated=found.deflated,
            hvps=hvps,
            converged=found.converged,
            method=method,
            curvature=self.curvature,
            layer=self.layer,
            n=matrix.n,
            products=matrix.products,
            product_error=matrix.error,
            ways=matrix.ways,
            precision=matrix.precision,
            precision_error=matrix.precision_error,
            **signature(self, objective),
        )


def _without(matrix: Operator, pairs: EigenvaluesRecord, seed: int) -> tuple[MatVec, float]:
    """Project eigenpairs out: v ↦ P H P v, P = I − U Uᵀ, and their share Σ λ of tr H.

    Raises ValueError for pairs without vectors, or of another matrix.
    """
    if pairs.vectors is None:
        raise ValueError(
            "`pairs` must hold eigenvectors, which no file keeps: give the record as Eigenvalues "
            "returned it."
        )
    found = ~np.isnan(pairs.values)
    vectors = torch.as_tensor(pairs.vectors[:, found]).to(matrix.like)
    if vectors.shape[0] != matrix.n:
        raise ValueError(
            f"`pairs` must be of the same curvature: vectors of length {matrix.n}. "
            f"Got {vectors.shape[0]}."
        )
    basis = torch.linalg.qr(vectors).Q.T.contiguous()
    share = float(pairs.values[found].sum())
    _check(matrix, basis, share, pairs, seed)
    return lambda v: project_out(basis, matrix.matvec(project_out(basis, v))), share


def _check(
    matrix: Operator, basis: Tensor, share: float, pairs: EigenvaluesRecord, seed: int
) -> None:
    """For x a signed sum of k eigenvectors xᵀHx is Σ λ, up to √k times their residuals."""
    (signs,) = probes.signs(basis[:, 0], 1, seed)
    x = basis.T @ signs
    apart = abs(float(x @ matrix.matvec(x)) - share)
    allowed = len(basis) ** 0.5 * np.nansum(pairs.residuals) + 0.01 * np.nansum(abs(pairs.values))
    if apart > allowed:
        raise ValueError(
            "`pairs` must be eigenpairs of this curvature at this point. Σ λ and a product with "
            f"their vectors differ by {apart:.2g}, where {allowed:.2g} is allowed."
        )
