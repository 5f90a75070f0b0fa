"""Extreme eigenvalues of the Hessian, H u = λ u, by Lanczos with a stated bound for each."""

from dataclasses import asdict, dataclass
from typing import Any

import torch

from landscape.environment import environment
from landscape.linalg import lanczos, probes
from landscape.measures.arithmetic import REPEATS, product_error
from landscape.measures.context import Progress, point_of
from landscape.measures.pyhessian_backend import power_iteration
from landscape.objective import Objective
from landscape.records import EigenvaluesRecord

WHICH = ("magnitude", "largest", "smallest", "both")
BACKENDS = ("lanczos", "pyhessian")


@dataclass(frozen=True)
class Eigenvalues:
    """The k outer eigenvalues of ∇²L at the point.

    k: how many, at most n. which: "magnitude" by |λ| descending; "largest", descending; "smallest",
    ascending; "both", k from each end, by |λ| descending.
    tolerance: a pair has converged when its bound is at most tolerance · max|λ|. The bound is that
    of Lanczos (see `landscape.linalg.lanczos`) plus the estimated rounding of the products.
    max_hvps: Hessian-vector products after which to stop; what has not converged then says so.
    backend: "lanczos"; or "pyhessian", its power iteration as a second opinion ("magnitude" only).
    seed: of the start vector.

    Raises ValueError for settings out of range, k > n, and products that are not those of a
    symmetric matrix.
    """

    k: int = 10
    which: str = "magnitude"
    tolerance: float = 1e-4
    max_hvps: int | None = None
    backend: str = "lanczos"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"`k` must be at least 1. Got {self.k}.")
        if self.which not in WHICH:
            raise ValueError(f"`which` must be one of {', '.join(WHICH)}. Got {self.which!r}.")
        if not self.tolerance >= 0:
            raise ValueError(f"`tolerance` must be non-negative. Got {self.tolerance}.")
        if self.max_hvps is not None and self.max_hvps < 1:
            raise ValueError(f"`max_hvps` must be at least 1. Got {self.max_hvps}.")
        if self.backend not in BACKENDS:
            raise ValueError(
                f"`backend` must be one of {', '.join(BACKENDS)}. Got {self.backend!r}."
            )
        if self.backend == "pyhessian" and self.which != "magnitude":
            raise ValueError(
                f"PyHessian's power iteration finds eigenvalues by magnitude. Got {self.which!r}: "
                'use which="magnitude" or backend="lanczos".'
            )

    def __call__(
        self, objective: Objective, *, progress: Progress | None = None
    ) -> EigenvaluesRecord:
        """Ask it of the objective's point.

        `progress` counts Hessian-vector products; how many it will take is not known.
        """
        n = objective.weights.n
        if self.k > n:
            raise ValueError(f"`k` must be at most n = {n}, the number of weights. Got {self.k}.")
        ask = self._pyhessian if self.backend == "pyhessian" else self._lanczos
        return EigenvaluesRecord(
            **ask(objective, progress),
            which=self.which,
            backend=self.backend,
            point=point_of(objective),
            settings=asdict(self),
            provenance=environment(),
        )

    def _lanczos(self, objective: Objective, progress: Progress | None) -> dict[str, Any]:
        check_symmetry(objective, self.seed)
        result = lanczos(
            objective.hvp,
            objective.weights.n,
            self.k,
            self.which,
            tolerance=self.tolerance,
            max_matvecs=self.max_hvps,
            seed=self.seed,
            dtype=objective.w.dtype,
            device=objective.device,
            callback=progress and (lambda done, _: progress(done, self.max_hvps or 2 * done)),
        )
        found = ~result.values.isnan()
        rounding = product_error(
            objective, result.vectors[:, found.to(objective.device)], self.seed
        )
        hvps = result.matvecs + 2 + REPEATS + 1  # and those of the two checks
        if progress is not None:
            progress(hvps, hvps)
        bounds = result.bounds + rounding
        converged = result.converged & (bounds <= self.tolerance * result.norm)
        return {
            "values": result.values.numpy(force=True),
            "residuals": result.residuals.numpy(force=True),
            "bounds": bounds.numpy(force=True),
            "converged": converged.numpy(force=True),
            "vectors": result.vectors.numpy(force=True),
            "hvps": hvps,
        }

    def _pyhessian(self, objective: Objective, progress: Progress | None) -> dict[str, Any]:
        """Its pairs, with the residuals that our own products give them."""
        values, vectors, hvps = power_iteration(
            objective, self.k, self.tolerance, self.max_hvps, self.seed
        )
        products = objective.hvp(vectors)
        residuals = (products - values.to(vectors) * vectors).norm(dim=0).cpu().double()
        if progress is not None:
            progress(hvps, hvps)
        return {
            "values": values.numpy(),
            "residuals": residuals.numpy(),
            "bounds": residuals.numpy().copy(),
            "converged": (residuals <= self.tolerance * values.abs().max()).numpy(),
            "vectors": vectors.cpu().numpy(),
            "hvps": hvps + self.k,
        }


def check_symmetry(objective: Objective, seed: int = 0) -> None:
    """Refuse products with u·Hv ≠ v·Hu for random u, v: no eigenvalue could be trusted.

    For independent errors of relative size ε in the products the two differ by about ε ‖Hv‖;
    allowed is 3√eps of the arithmetic, 0.1 % in float32.
    """
    u, v = probes.gaussians(objective.w, 2, seed)
    hu, hv = objective.hvp(u), objective.hvp(v)
    asymmetry = float((u @ hv - v @ hu).abs())
    allowed = 3 * torch.finfo(u.dtype).eps ** 0.5 * float(hu.norm() + hv.norm())
    if asymmetry > allowed:
        raise ValueError(
            f"Hessian-vector products are not symmetric: u·Hv and v·Hu differ by {asymmetry:.2g}, "
            f"where {allowed:.2g} is allowed. Look for a custom backward or a detached part in the "
            "model or loss, or try the model in float64."
        )
