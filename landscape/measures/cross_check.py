"""Cross-check of eigenvalues: every installed solver, each judged by our own exact products."""

import time
from dataclasses import asdict, dataclass

import numpy as np

from landscape.measures.context import Progress, shows_progress, signature
from landscape.measures.eigenvalues import BACKENDS, Eigenvalues
from landscape.objective.objective import Objective
from landscape.records import CrossCheckRecord, EigenvaluesRecord


@dataclass(frozen=True)
class CrossCheck:
    """Extreme eigenvalues of the Hessian by each backend, compared.

    k, which, tolerance, max_hvps, layer, seed: as for `Eigenvalues`. A pair meets the residual if
    ‖Hv − θv‖ ≤ tolerance·max|λ|, with max|λ| from our solver; it differs if |θ − θ'| exceeds the
    sum of both bounds. A backend that is missing or fails has its message in the record.
    """

    k: int = 10
    which: str = "magnitude"
    tolerance: float = 1e-4
    max_hvps: int | None = None
    layer: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        Eigenvalues(**asdict(self))  # refuses what it would

    @shows_progress
    def __call__(
        self, objective: Objective, *, progress: Progress | None = None
    ) -> CrossCheckRecord:
        """Run every backend at the objective's point; `progress` counts backends."""
        found, seconds, messages = [], [], []
        for done, backend in enumerate(BACKENDS, start=1):
            started = time.perf_counter()
            record, message = self._ask(backend, objective)
            seconds.append(time.perf_counter() - started if record else np.nan)
            found.append(record)
            messages.append(message)
            if progress is not None:
                progress(done, len(BACKENDS))
        ours = found[0]
        assert ours is not None
        blank = np.full_like(ours.values, np.nan)

        def table(name: str) -> np.ndarray:
            return np.stack([blank if r is None else getattr(r, name) for r in found])

        values, residuals, bounds = table("values"), table("residuals"), table("bounds")
        return CrossCheckRecord(
            backends=np.array(BACKENDS),
            values=values,
            residuals=residuals,
            bounds=bounds,
            met=residuals <= self.tolerance * np.nanmax(np.abs(ours.values)),
            differs=np.abs(values - ours.values) > bounds + ours.bounds,
            hvps=np.array([np.nan if r is None else r.hvps for r in found]),
            seconds=np.array(seconds),
            message=np.array(messages),
            which=self.which,
            tolerance=self.tolerance,
            **signature(self, objective),
        )

    def _ask(self, backend: str, objective: Objective) -> tuple[EigenvaluesRecord | None, str]:
        """Run one backend: its record, or the message of its error, whatever its type."""
        try:
            return Eigenvalues(**asdict(self), backend=backend)(objective), ""
        except Exception as error:
            if backend == BACKENDS[0]:
                raise
            return None, " ".join(str(error).split())[:300] or type(error).__name__
