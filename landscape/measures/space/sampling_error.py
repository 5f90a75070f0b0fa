"""Standard error of a mean loss over the choice of examples."""

from itertools import chain

import torch
from torch import Tensor

from landscape.network.batch import Batch, tensors
from landscape.objective.derivative import total
from landscape.objective.empirical_risk import EmpiricalRisk
from landscape.objective.objective import Objective
from landscape.objective.reduction import can_be_regrouped

GROUPS = 32  # enough for a standard error that is right within an eighth
LEAST = 32  # examples of a group that batch norm takes its own statistics from


def relative_stderr(objective: Objective) -> float:
    """Standard error of L(w) over independent draws of the examples, divided by |L(w)|.

    From the losses of up to 32 groups of examples: √(G/(G−1) Σ_g s_g² (L_g − L)²) with their shares
    s_g. One more pass over the data. Under the policy "batch" each group is normalised by its own
    statistics, which is near the truth for 32 examples and more. A loss that is no mean over
    examples has its batches as groups.
    NaN where the data cannot be told apart, the model takes whole batches alone, or the loss is
    zero.
    """
    found = group_losses(objective, objective.risk.w)
    if found is None:
        return float("nan")
    losses, shares = found
    mean = shares @ losses
    return float("nan") if mean == 0 else stderr_over_groups(losses, shares) / abs(float(mean))


def group_losses(objective: Objective, at: Tensor) -> tuple[Tensor, Tensor] | None:
    """Losses of up to 32 groups of examples at a point (n,), and their shares, (groups,) float64.

    Of all ranks. None where the data cannot be told apart, or the model takes whole batches alone.
    """
    risk, ranks = objective.risk, objective.ranks
    groups = list(risk.given)
    if ranks.all(objective.retry_on_oom(lambda: can_be_regrouped(risk))):
        groups = [group for batch in risk.given for group in _groups(risk, batch)]
    number = sum(ranks.gather(len(groups)))
    if number < 2:
        return None

    def loss(group: Batch) -> Tensor:
        return total(p.size / group.size * risk.batch_loss(p) for p in risk.pieces(group))

    def ask() -> Tensor:
        with risk.opened(at):
            return torch.stack([loss(group).detach().double() for group in groups])

    try:
        losses = objective.retry_on_oom(ask)
    except Exception:  # a model's own words: rows of a graph, a hidden state of another size
        if number == len(risk.counts):
            raise
        return None
    of_ranks = ranks.gather(([g.share for g in groups], losses.tolist()))
    shares, losses = torch.tensor(
        [list(chain.from_iterable(column)) for column in zip(*of_ranks, strict=True)],
        dtype=torch.float64,
    )
    return losses, shares / shares.sum()


def stderr_over_groups(values: Tensor, shares: Tensor) -> float:
    """√(G/(G−1) Σ_g s_g² (v_g − v)²), v = Σ_g s_g v_g."""
    apart = shares * (values - shares @ values)
    return float((len(values) / (len(values) - 1) * apart.square().sum()).sqrt())


def _groups(risk: EmpiricalRisk, batch: Batch) -> list[Batch]:
    """The batch's part of the groups; itself where its tensors do not hold one example per row."""
    rows = [t.shape[0] if t.dim() else -1 for t in (*tensors(batch.x), *tensors(batch.y))]
    if set(rows) != {batch.size}:
        return [batch]
    least = LEAST if risk.policy == "batch" else 1
    wanted = round(GROUPS * batch.size / risk.examples)
    return batch.shards(max(1, min(wanted, batch.size // least)))
