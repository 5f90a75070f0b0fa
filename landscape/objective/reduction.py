"""Is a loss the mean over the examples of a batch, their sum, or neither?"""

import warnings
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from landscape.network.batch import Batch, rows_of
from landscape.objective.empirical_risk import EmpiricalRisk
from landscape.utils.memory import ran_out

FEW = 16  # examples of a pass that needs no whole batch
COPIES = (1, 2, 3, 5)  # a quantile may fall by as much twice, but not three times


def check_reduction(risk: EmpiricalRisk, batch: Batch) -> None:
    """Refuse a sum over the examples of batches of unequal size; warn of one over equal batches.

    With every example twice, a mean stays as it is. A sum grows by as much as with each further
    copy, whatever is added to it.
    """
    weighted = any(share != size for size, share in risk.counts)
    if len(risk.counts) == 1 or weighted or len(rows_of(batch)) > 1:
        return
    examples = torch.arange(batch.size, device=risk.device)
    values = _values(risk, [batch.rows(examples.repeat(copies)) for copies in COPIES])
    if values is None:
        return
    per_copy = [
        (later - earlier) / (more - few)
        for (few, earlier), (more, later) in pairwise(zip(COPIES, values, strict=True))
    ]
    first, *others = per_copy
    grows = first.abs() > 1e-3 * values[0].abs()
    alike = all(torch.isclose(other, first, rtol=1e-3, atol=0.0) for other in others)
    if not (grows and first.isfinite() and alike):
        return
    advice = 'Divide it by the number of examples (reduction="mean"), or give each Batch a weight.'
    if len({size for size, _ in risk.counts}) > 1:
        raise ValueError(
            "The loss is a sum over examples, and the batches differ in size: their average means "
            f"nothing. {advice}"
        )
    warnings.warn(
        f"The loss is a sum over the examples of a batch, so all numbers grow with the batch size. "
        f"{advice}",
        stacklevel=2,
    )


def is_mean(risk: EmpiricalRisk, batch: Batch) -> bool:
    """Test at w, by two parts, whether the loss of a batch is the mean over its examples."""
    if batch.size < 2:
        return True
    parts = _and_parts(batch)
    with risk.opened(risk.w):
        values = [risk.batch_loss(b).detach() for b in parts]
    return _is_mean_of_parts(parts, values)


def _and_parts(batch: Batch) -> list[Batch]:
    """A batch, a third of its examples and the others, drawn so that no pattern in their order
    fits.
    """
    drawn = torch.randperm(batch.size, generator=torch.Generator().manual_seed(0))
    first = max(1, batch.size // 3)
    return [batch, batch.rows(drawn[:first]), batch.rows(drawn[first:])]


def _is_mean_of_parts(batches: Sequence[Batch], values: Sequence[Tensor]) -> bool:
    """Compare the losses of a batch and of its two parts."""
    whole, *parts = (value.double() for value in values)
    sizes = [part.size for part in batches[1:]]
    mean = (sizes[0] * parts[0] + sizes[1] * parts[1]) / sum(sizes)
    sizes_of_values = torch.stack([whole, *parts]).abs().nan_to_num(0.0, 0.0)
    atol = 1e-6 * float(sizes_of_values.max())
    return bool(torch.isclose(mean, whole, rtol=1e-4, atol=atol, equal_nan=True))


def can_be_regrouped(risk: EmpiricalRisk) -> bool:
    """Test whether the mean over the examples is the same in other batches.

    Batch norm's own statistics are left out of it. True also for a model that takes whole batches
    alone, which says so itself when it is given others. False for batches that are read anew.
    """
    if risk.is_streamed:
        return False
    first = max(risk.batches, key=lambda batch: batch.size)
    if len(rows_of(first)) > 1 or first.size < 2:
        return True
    parts = _and_parts(first)
    values = _values(risk.under("stored"), parts)
    return values is None or _is_mean_of_parts(parts, values)


def sample(risk: EmpiricalRisk) -> Batch:
    """A few examples of the first batch; all where they cannot be taken out of it."""
    batch = risk.batches[0]
    if len(rows_of(batch)) > 1 or batch.size <= FEW:
        return batch
    few = batch.rows(slice(FEW))
    return batch if _values(risk, [few]) is None else few


def _values(risk: EmpiricalRisk, batches: Sequence[Batch]) -> list[Tensor] | None:
    """The losses of parts of a batch; None for a model that takes whole batches alone."""
    try:
        with risk.opened(risk.w):
            return [risk.batch_loss(batch).detach() for batch in batches]
    except Exception as error:  # in words of its own
        if ran_out(error):
            raise
        return None
