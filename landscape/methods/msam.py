"""mSAM, micro-batch SAM: Behdin et al., 2023.

arXiv 2302.09693, with arXiv 2212.04343.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch

from landscape.batch import Batch
from landscape.methods import ascent, checks
from landscape.walker import Walker


@dataclass
class MSAM:
    """Each shard of the batch climbs on its own; the gradients found up there are averaged.

    g_j = ∇L_j(w),  e_j = ρ g_j/‖g_j‖,  G = Σ_j (n_j/n) ∇L_j(w + e_j).  Not the perturbations are
    averaged: that would be SAM.

    rho: radius; None is that of `over`.
    num_shards: disjoint contiguous parts of the batch, their sizes at most one apart; 1 is SAM
    (4: our choice, the papers' settings could not be read).
    over: whose ascent rule climbs, a method like SAM or ASAM; None is SAM at 0.05.

    Batch norm normalises each shard by itself and moves its running statistics once per shard.

    Cost: 2 passes over each shard a step: the arithmetic of 2 passes, with smaller batches.

    Raises ValueError for a negative radius, fewer than 1 shard, more shards than examples, an
    `over` without an ascent rule.

    Differs from the authors' code: none was found; shards of unequal size count by their examples.
    """

    rho: float | None = None
    num_shards: int = 4
    over: ascent.Ascends | None = None
    no_rule: ClassVar[str] = "it perturbs every shard on its own"

    def __post_init__(self) -> None:
        checks.whole(1, num_shards=self.num_shards)
        ascent.check(self.over, self.rho)

    def step(self, walker: Walker, batch: Batch) -> None:
        """One step on one batch."""
        ascend = ascent.of(walker, self.over, self.rho)
        w = walker.w
        average = torch.zeros_like(w)
        for shard in batch.shards(self.num_shards):
            e = ascend(walker.grad(shard), w)
            average += shard.share / batch.share * walker.grad(shard, at=w + e)
        walker.descend(average)
