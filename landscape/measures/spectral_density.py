"""Density of the curvature's eigenvalues, ρ(λ) = (1/n) Σ_i N(λ; λ_i, σ²), by stochastic Lanczos
quadrature (Ghorbani, Krishnan & Xiao 2019, arXiv 1901.10159).
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from landscape.linalg import Quadrature, stochastic_lanczos
from landscape.linalg.quadratic_forms import Floats
from landscape.linalg.quadrature import fitting_steps
from landscape.measures.context import Progress, shows_progress, signature
from landscape.measures.curvature.operator import Operator, operator
from landscape.measures.curvature.rows import rows_of
from landscape.measures.rows.shared_rows import Keep, ways_of
from landscape.network.precision import arithmetic_of
from landscape.objective.objective import Objective
from landscape.records import SpectralDensityRecord
from landscape.utils import checks
from landscape.utils.memory import basis_bytes

REACH = 6  # kernel widths that the grid goes beyond the outer nodes: 1e-9 of a kernel lies outside
FINENESS = 4  # grid points per kernel width: sums over the grid are then exact to rounding


@dataclass(frozen=True)
class SpectralDensity:
    """Spectral density of ∇²L(w): the eigenvalue distribution, smoothed by a Gaussian kernel.

    ρ(λ) = (1/n) Σ_i N(λ; λ_i, σ²), which integrates to 1 and has mean tr H / n. The record holds it
    on a grid (g,) with a pointwise 95 % band over the probes. `steps_error` estimates the share of
    mass that is misplaced because Lanczos ends after `steps`; it shows as ripples in the bulk.

    probes: number of random directions, at least 2.
    steps: Lanczos steps from each direction, one Hessian-vector product each.
    width: standard deviation σ of the kernel, relative to the span of the Ritz values.
    curvature: "hessian", "gauss-newton", "fisher" or "empirical-fisher".
    layer: name of a module; selects the diagonal block of its parameters.
    seed: seed of the random directions.
    precision: of the products on CUDA: "ieee", "tf32", or "auto", which is ieee; with "tf32"
    the record has the measured error.

    Defaults are the project's own; Ghorbani et al. use 10 probes, 90 steps and a width of 0.003.
    Raises ValueError for settings out of range, and for a curvature that the loss does not have.

    Example: L(w) = (9 w₁² + w₂²)/2, whose Hessian is diag(9, 1).

    >>> import torch
    >>> import landscape as ls
    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> batch = ls.Batch(torch.diag(torch.tensor([3.0, 1.0])), torch.zeros(2, 1))
    >>> mse = lambda model, batch: (model(batch.x) - batch.y).square().mean()
    >>> objective = ls.Objective(model, [batch], mse)
    >>> density = ls.measures.SpectralDensity()(objective)
    >>> sorted({round(node, 3) for node in density.nodes.flatten().tolist()})  # steps = n: exact
    [1.0, 9.0]
    """

    probes: int = 10
    steps: int = 50
    width: float = 0.01
    curvature: str = "hessian"
    layer: str | None = None
    seed: int = 0
    precision: str = "auto"

    over_ranks: ClassVar[bool] = True
    splits_into: ClassVar[str] = "probes"

    def __post_init__(self) -> None:
        checks.typed(self)
        arithmetic_of(self.precision)
        if self.probes < 2:
            raise ValueError(f"`probes` must be at least 2, for an error. Got {self.probes}.")
        checks.at_least(1, steps=self.steps)
        if not 1e-5 <= self.width <= 1:
            raise ValueError(f"`width` must lie between 1e-5 and 1. Got {self.width}.")

    @shows_progress
    def __call__(
        self, objective: Objective, *, keep: Keep = None, progress: Progress | None = None
    ) -> SpectralDensityRecord:
        """Estimate the density at the objective's point; `progress` counts products.

        keep: a file for finished probes until all are done, as that of `Surface`.
        """
        matrix = operator(objective, self.curvature, self.layer, self.seed, self.precision)
        spent = matrix.count
        rules = self._rules(matrix, keep, progress)
        hvps = spent + rules.matvecs
        if progress is not None:
            progress(hvps, hvps)
        sigma = kernel_width(rules.nodes, self.width)
        lowest, highest = np.nanmin(rules.nodes), np.nanmax(rules.nodes)
        points = int(np.ceil((highest - lowest) / sigma + 2 * REACH)) * FINENESS + 1
        grid = np.linspace(lowest - REACH * sigma, highest + REACH * sigma, points)
        density, mean = smoothed(rules, grid, sigma), rules.mean(lambda nodes: nodes)
        assert rules.shorter is not None
        moved = np.abs(smoothed(rules.shorter, grid, sigma)[0] - density[0])
        return SpectralDensityRecord(
            grid=grid,
            density=density[0],
            low=density[1],
            high=density[2],
            nodes=rules.nodes,
            weights=rules.weights,
            width=sigma,
            mean=float(mean.value),
            mean_low=float(mean.value - mean.half),
            mean_high=float(mean.value + mean.half),
            steps_error=float(np.trapezoid(moved, grid)) / 2,
            hvps=hvps,
            n=matrix.n,
            curvature=self.curvature,
            layer=self.layer,
            products=matrix.products,
            product_error=matrix.error,
            ways=matrix.ways,
            precision=matrix.precision,
            precision_error=matrix.precision_error,
            **signature(self, objective),
        )

    def _rules(self, matrix: Operator, keep: Keep, progress: Progress | None) -> Quadrature:
        """The rules of all probes. How many steps fit the memory is for the first process to say,
        since longer rules are other numbers.
        """
        spent, like = matrix.count, matrix.like
        free = min(matrix.ranks.gather(basis_bytes(like.device)))
        memory = int(next(iter(ways_of(keep)[1:]), free))
        steps = fitting_steps(like, self.steps, memory)
        rows = rows_of(
            keep, self, matrix, question={"steps": steps}, ways=[str(memory)],
            progress=progress and (
                lambda done, total: progress(spent + done * steps, spent + total * steps)
            ),
        )  # fmt: skip
        rules = stochastic_lanczos(
            matrix.matvec, like, self.probes, steps, memory=memory, seed=self.seed, rows=rows
        )
        rows.delete()
        return rules


def kernel_width(nodes: Floats, fraction: float) -> float:
    """Kernel width σ in units of the eigenvalues: a share of their span, or of a single value."""
    span = float(np.nanmax(nodes) - np.nanmin(nodes))
    largest = float(np.nanmax(np.abs(nodes)))
    return fraction * (span if span > 1e-6 * largest else largest or 1.0)


def smoothed(rules: Quadrature, grid: Floats, sigma: float) -> tuple[Floats, Floats, Floats]:
    """Density on the grid (g,), and the ends of its pointwise 95 % interval over the probes."""

    def kernel(nodes: Floats) -> Floats:
        z = (grid - nodes[..., None]) / sigma
        return np.exp(-(z**2) / 2) / (sigma * (2 * np.pi) ** 0.5)

    found = rules.mean(kernel)
    return found.value, np.maximum(found.value - found.half, 0.0), found.value + found.half
