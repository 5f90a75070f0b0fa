"""Top eigenvalue of the curvature over mini-batches, and their batch sharpness.

The distribution of λ₁(H_B) is what a step of SGD meets; gᵀ_B H_B g_B/‖g_B‖² is its directional form
at the edge of stochastic stability (Andreyev & Beneventano, arXiv 2412.20553; the name unverified).
"""

from dataclasses import dataclass

import numpy as np
import torch

from landscape.measures.context import Progress, shows_progress, signature
from landscape.measures.curvature.operator import check_curvature, operator
from landscape.measures.eigenvalues import Eigenvalues
from landscape.measures.space.regrouping import regrouped
from landscape.network.batch import Batch
from landscape.objective.objective import Objective
from landscape.objective.reduction import can_be_regrouped
from landscape.records import BatchEigenvaluesRecord
from landscape.utils import checks


@dataclass(frozen=True)
class BatchEigenvalues:
    """Largest eigenvalue of the curvature of each mini-batch of a random partition.

    λ₁ is convex: the mean over an equal partition is at least λ₁ of all its examples, which the
    record holds beside it. It is no estimate of that.

    m: examples in each batch, all equal; the short last batch is dropped. That of the training is
    the one to ask for.
    batches: at most so many, at least 2.
    tolerance: relative error bound of each eigenvalue; the spread over batches is far larger.
    curvature: "hessian", "gauss-newton", "fisher" or "empirical-fisher".
    seed: of the partition and of the eigenvectors' start.

    Batch norm follows the objective's policy; re-estimated statistics are those of each batch.
    Cost: 8 to 30 products on each batch, and as many on all of them.
    Raises ValueError for settings out of range, for fewer than 2 batches, and for a loss that is no
    mean over examples.

    Example: two examples with second derivatives 9 and 1, one to a batch.

    >>> import torch
    >>> import landscape as ls
    >>> model = torch.nn.Linear(1, 1, bias=False)
    >>> batch = ls.Batch(torch.tensor([[3.0], [1.0]]), torch.zeros(2, 1))
    >>> mse = lambda model, batch: (model(batch.x) - batch.y).square().mean() / 2
    >>> record = ls.measures.BatchEigenvalues(m=1)(ls.Objective(model, [batch], mse))
    >>> sorted(record.values.round(4).tolist()), round(record.whole, 4)
    ([1.0, 9.0], 5.0)
    """

    m: int = 128
    batches: int = 32
    tolerance: float = 1e-2
    curvature: str = "hessian"
    seed: int = 0

    def __post_init__(self) -> None:
        checks.typed(self)
        checks.at_least(1, m=self.m)
        if self.batches < 2:
            raise ValueError(f"`batches` must be at least 2, for an interval. Got {self.batches}.")
        checks.positive(tolerance=self.tolerance)
        check_curvature(self.curvature)

    @shows_progress
    def __call__(
        self, objective: Objective, *, progress: Progress | None = None
    ) -> BatchEigenvaluesRecord:
        """Measure at the objective's point; `progress` counts batches."""
        pieces = self._partition(objective)
        ask = Eigenvalues(
            k=1, which="largest", tolerance=self.tolerance, curvature=self.curvature, seed=self.seed
        )
        values, bounds, along = [], [], []
        for i, piece in enumerate(pieces):
            part = objective.on_batches([piece])
            _check_takes(part, objective)
            found = ask(part)
            values.append(found.values[0])
            bounds.append(found.bounds[0])
            along.append(self._along_gradient(part))
            if progress is not None:
                progress(i + 1, len(pieces) + 1)
        whole = ask(objective.on_batches(pieces))
        if progress is not None:
            progress(len(pieces) + 1, len(pieces) + 1)
        low, high = median_interval(np.array(values))
        return BatchEigenvaluesRecord(
            values=np.array(values),
            bounds=np.array(bounds),
            batch_sharpness=np.array(along),
            whole=float(whole.values[0]),
            whole_bound=float(whole.bounds[0]),
            median_low=low,
            median_high=high,
            m=self.m,
            curvature=self.curvature,
            **signature(self, objective),
        )

    def _partition(self, objective: Objective) -> list[Batch]:
        if not objective.retry_on_oom(lambda: can_be_regrouped(objective.risk)):
            raise ValueError(
                "The loss is no mean over the examples of a batch, so that other batches than the "
                "given ones have another meaning: mini-batches cannot be drawn."
            )
        (joined,) = regrouped(objective.risk.given, objective.examples)
        count = min(self.batches, joined.size // self.m)
        if count < 2:
            raise ValueError(
                f"Batches of `m` = {self.m} examples need twice as many. Got {joined.size}: lower "
                "`m`, or measure on more."
            )
        generator = torch.Generator().manual_seed(self.seed)
        order = torch.randperm(joined.size, generator=generator).to(objective.device)
        return [joined.rows(order[i * self.m : (i + 1) * self.m]) for i in range(count)]

    def _along_gradient(self, part: Objective) -> float:
        """gᵀHg/‖g‖² of a batch; 0 where g is zero."""
        g = part.grad()
        length = float(g.double().square().sum())
        if length == 0:
            return 0.0
        product = operator(part, self.curvature, seed=self.seed).matvec(g)
        return float(g.double() @ product.double()) / length


def _check_takes(part: Objective, objective: Objective) -> None:
    """Raise ValueError for a model that takes the given batches alone, as one of a graph does.

    A model that does not take those either raises its own error.
    """
    try:
        part.value()
    except RuntimeError as error:
        objective.value()
        raise ValueError(
            "Mini-batches need a model that takes any examples together. This one does not: "
            f"{str(error).strip().splitlines()[0]}."
        ) from error


def median_interval(values: np.ndarray) -> tuple[float, float]:
    """95 % interval of the median by order statistics; all the range where there are too few."""
    from scipy.special import bdtr

    ordered, n = np.sort(values), len(values)
    outside = [k for k in range(n // 2) if 2 * bdtr(k, n, 0.5) <= 0.05]
    k = outside[-1] if outside else 0
    return float(ordered[k]), float(ordered[n - 1 - k])
