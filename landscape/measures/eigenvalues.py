"""Extreme eigenvalues of the curvature, H u = λ u, by Lanczos, with an error bound for each."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F

from landscape.linalg import lanczos
from landscape.measures.context import Progress, shows_progress, signature
from landscape.measures.curvature import of_sharded
from landscape.measures.curvature.certificate import certified, mixing
from landscape.measures.curvature.operator import Operator, check_curvature, operator
from landscape.measures.curvature.with_curvlinops import arpack
from landscape.measures.curvature.with_pyhessian import power_iteration
from landscape.network.precision import arithmetic_of
from landscape.objective.objective import Objective
from landscape.records import EigenvaluesRecord
from landscape.utils import checks
from landscape.utils.memory import MOST_KEPT, free_bytes

WHICH = ("magnitude", "largest", "smallest", "both")
OTHERS = {"pyhessian": power_iteration, "curvlinops": arpack}
BACKENDS = ("lanczos", *OTHERS)
LEFT = 0.9  # of the tolerance for Lanczos; the rest is for the error of the products


@dataclass(frozen=True)
class Eigenvalues:
    """Extreme eigenvalues λ of ∇²L(w), H u = λ u, or of its Gauss-Newton part.

    The record holds values, residuals ‖H u − λ u‖, bounds of |λ − λ_true| and converged flags, each
    (k,), and the eigenvectors (n, k). The unit is that of the loss per squared unit of w.

    k: number of eigenvalues, at most n.
    which: "magnitude" sorts by |λ|, descending; "largest", descending; "smallest", ascending;
    "both", k from each end, by |λ| descending.
    tolerance: a pair has converged when its bound is at most tolerance · max|λ|. The bound is that
    of Lanczos (see `landscape.linalg.lanczos`) plus the error of the products, which is measured
    in float64 at the same weights.
    max_hvps: budget of Hessian-vector products; pairs that have not converged by then are marked.
    backend: "lanczos"; for a second opinion "pyhessian", its power iteration ("magnitude" only), or
    "curvlinops", its operator with scipy's `eigsh`. Both are judged by residuals with our products.
    curvature: "hessian", "gauss-newton", "fisher" or "empirical-fisher".
    layer: name of a module; selects the diagonal block of its parameters.
    vectors: store the eigenvectors in the record's file, too.
    seed: seed of the start vector.
    precision: of the products on CUDA: "ieee", "tf32", or "auto", which is ieee; with "tf32"
    the bounds hold for float64 all the same.

    Defaults are the project's own. Raises ValueError for settings out of range, for k > n, and for
    products that are not those of a symmetric matrix.

    Example: L(w) = (9 w₁² + w₂²)/2, whose Hessian is diag(9, 1).

    >>> import torch
    >>> import landscape as ls
    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> batch = ls.Batch(torch.diag(torch.tensor([3.0, 1.0])), torch.zeros(2, 1))
    >>> mse = lambda model, batch: (model(batch.x) - batch.y).square().mean()
    >>> objective = ls.Objective(model, [batch], mse)
    >>> ls.measures.Eigenvalues(k=2)(objective).values.round(4)
    array([9., 1.])
    """

    takes_sharded: ClassVar[bool] = True
    k: int = 10
    which: str = "magnitude"
    tolerance: float = 1e-4
    max_hvps: int | None = None
    backend: str = "lanczos"
    seed: int = 0
    curvature: str = "hessian"
    layer: str | None = None
    vectors: bool = False
    precision: str = "auto"

    over_ranks: ClassVar[bool] = True

    def __post_init__(self) -> None:
        checks.typed(self)
        arithmetic_of(self.precision)
        checks.at_least(1, k=self.k)
        checks.one_of(WHICH, which=self.which)
        checks.non_negative(tolerance=self.tolerance)
        if self.max_hvps is not None:
            checks.at_least(1, max_hvps=self.max_hvps)
        checks.one_of(BACKENDS, backend=self.backend)
        check_curvature(self.curvature)
        if self.backend == "pyhessian" and self.which != "magnitude":
            raise ValueError(
                f"PyHessian's power iteration finds eigenvalues by magnitude. Got {self.which!r}: "
                'use which="magnitude" or backend="lanczos".'
            )
        if self.backend != "lanczos" and self.curvature != "hessian":
            raise ValueError(
                f"`backend` {self.backend!r} knows only the Hessian. Got {self.curvature!r}: use "
                'backend="lanczos".'
            )

    @shows_progress
    def __call__(
        self, objective: Objective, *, progress: Progress | None = None
    ) -> EigenvaluesRecord:
        """Compute the eigenvalues at the objective's point.

        progress: counts Hessian-vector products; the total is not known in advance.
        """
        if getattr(objective, "is_sharded", False):
            return of_sharded.eigenvalues(self, objective, progress)  # type: ignore[arg-type]
        matrix = operator(
            objective,
            self.curvature,
            self.layer,
            self.seed,
            self.precision,
            krylov=self.backend == "lanczos",
        )
        if self.k > matrix.n:
            raise ValueError(
                f"`k` must be at most n = {matrix.n}, the number of weights. Got {self.k}."
            )
        solution = (
            self._lanczos(matrix, progress) if self.backend == "lanczos" else self._other(matrix)
        )
        if progress is not None:
            progress(solution["hvps"], solution["hvps"])
        return EigenvaluesRecord(
            **solution,
            which=self.which,
            backend=self.backend,
            curvature=self.curvature,
            layer=self.layer,
            products=matrix.products,
            product_error=matrix.error,
            ways=matrix.ways,
            precision=matrix.precision,
            precision_error=matrix.precision_error,
            product_cost=matrix.cost,
            graphs=matrix.graphs,
            saved_vectors=solution["vectors"] if self.vectors else None,
            **signature(self, objective),
        )

    def _lanczos(self, matrix: Operator, progress: Progress | None) -> dict[str, Any]:
        free = matrix.ranks.least(free_bytes(matrix.like.device))
        half = MOST_KEPT if free is None else free // 2  # the rest is for the products
        pairs = 2 * self.k if self.which == "both" else self.k
        result = lanczos(
            matrix.matvec,
            matrix.n,
            self.k,
            self.which,
            tolerance=LEFT * self.tolerance,
            max_matvecs=self.max_hvps,
            memory=half,
            free=None if free is None else half,
            seed=self.seed,
            dtype=matrix.like.dtype,
            device=matrix.like.device,
            callback=progress and (lambda done, _: progress(done, self.max_hvps or 2 * done)),
            mixes=mixing(pairs, matrix.like, self.seed),
        )
        matrix.refuse_asymmetric(result.asymmetry)
        answer = certified(matrix, result, self.which, self.tolerance, self.seed)
        return {
            "values": answer.values.numpy(force=True),
            "residuals": answer.residuals.numpy(force=True),
            "bounds": answer.bounds.numpy(force=True),
            "converged": answer.converged.numpy(force=True),
            "vectors": answer.vectors.numpy(force=True),
            "hvps": matrix.count,
            "error_from": answer.error_from,
        }

    def _other(self, matrix: Operator) -> dict[str, Any]:
        """Another library's pairs, with the residuals that our own products give them."""
        if matrix.ranks.size > 1:
            raise ValueError(
                f'`backend` {self.backend!r} knows nothing of ranks. Use backend="lanczos", or '
                "measure in one process."
            )
        solve = OTHERS[self.backend]
        values, vectors, hvps = solve(
            matrix.objective, matrix.block, self.k, self.which,
            self.tolerance, self.max_hvps, self.seed,
        )  # fmt: skip
        products = torch.stack([matrix.product(v) for v in vectors.unbind(1)], 1)
        residuals = (products - values.to(vectors) * vectors).norm(dim=0).cpu().double()
        missing = (2 * self.k if self.which == "both" else self.k) - len(values)
        values, residuals = (F.pad(x, (0, missing), value=torch.nan) for x in (values, residuals))
        return {
            "values": values.numpy(),
            "residuals": residuals.numpy(),
            "bounds": residuals.numpy().copy(),
            "converged": (residuals <= self.tolerance * values.abs().nan_to_num().max()).numpy(),
            "vectors": F.pad(vectors, (0, missing), value=torch.nan).cpu().numpy(),
            "hvps": hvps + matrix.count,
        }
