"""mSAM, micro-batch SAM: Behdin et al., 2023.

arXiv 2302.09693, with arXiv 2212.04343.
"""

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from landscape.methods import ascent
from landscape.methods.walker.parameter_hooks import hooked
from landscape.methods.walker.walker import Walker
from landscape.network.batch import Batch
from landscape.utils import checks

MODES = ("auto", "sequential", "vmap")
KEEPING = (nn.modules.batchnorm._NormBase, nn.RNNBase)  # running statistics; no rule for vmap
DRAWING = (nn.modules.dropout._DropoutNd, nn.RReLU)
GAINING, SMALL = 8, 10**6  # shards, and shards · n: twice as fast below, slower above (CPU)


@dataclass
class MSAM(ascent.Ascent):
    """Average the gradients that the shards of a batch have at their own perturbed points.

    g_j = ∇L_j(w),  e_j = ρ g_j/‖g_j‖,  G = Σ_j (n_j/n) ∇L_j(w + e_j).  Not the perturbations are
    averaged: that would be SAM.

    rho: radius; None is that of `over`.
    num_shards: disjoint contiguous parts of the batch, their sizes at most one apart; 1 is SAM
    (4: our choice, the papers' settings could not be read). Others call m the examples of a shard,
    which are batch size/num_shards here.
    mode: "sequential", shard after shard; "vmap", all shards in one vectorised pass, with
    num_shards copies of w in memory, for equal shards of a model without batch norm, dropout or
    penalty; "auto", vmap where that is so and it gains: 8 or more shards of a small model.
    over: whose climb it is, a method like ASAM or AACE; None is SAM at 0.05.

    Batch norm is ghost batch norm: it normalises each shard by itself, in both passes, and moves
    its running statistics once per shard, at w. A fair comparison uses models without it.

    Cost: 2 passes over each shard a step: the arithmetic of 2 passes, with smaller batches.

    Raises ValueError for a negative radius, fewer than 1 shard, more shards than examples, an
    `over` that does not climb, "vmap" where it cannot be.

    Differs from the authors' code: none was found; shards of unequal size count by their examples.

    Example: L(w) = ‖w‖²/2 from w = (0.6, 0.8), each example a shard: w − 0.1 (w + ρ).

    >>> import torch
    >>> import landscape as ls
    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> model.weight.data = torch.tensor([[0.6, 0.8]])
    >>> base = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> mse = lambda model, batch: (model(batch.x) - batch.y).square().mean()
    >>> stepper = ls.optim.wrap(ls.methods.MSAM(rho=0.5, num_shards=2), model, base, mse)
    >>> loss = stepper.step((torch.eye(2), torch.zeros(2, 1)))
    >>> model.weight.data
    tensor([[0.4900, 0.6700]])
    """

    rho: float | None = None
    num_shards: int = 4
    mode: str = "auto"
    over: ascent.Ascent | None = None
    no_closure: ClassVar[str] = "it splits the batch into shards"

    refused: bool = field(default=False, init=False, compare=False, repr=False)  # by vmap

    def __post_init__(self) -> None:
        ascent.check(self.over, self.rho)
        checks.typed(self)
        checks.whole(1, num_shards=self.num_shards)
        checks.one_of(MODES, mode=self.mode)
        if isinstance(self.over, MSAM):
            raise ValueError(
                "`over` must not be MSAM again. Multiply the two `num_shards` instead."
            )

    @property
    def no_compile(self) -> str:
        """Reason why its passes cannot run through a compiled network; "" where they can."""
        vmap = self.mode == "vmap"
        return "maps its shards by vmap, under which networks run eagerly" if vmap else ""

    @property
    def plain(self) -> bool:
        """Delegate to the method inside."""
        return ascent.inside(self.over).plain

    def step(self, walker: Walker, batch: Batch) -> None:
        """Make one step on one batch."""
        if self._vectorises(walker, batch):
            try:
                return self._vectorised_step(walker, batch)
            except RuntimeError as error:  # a draw, a branch or state that only the pass shows
                if self.mode == "vmap":
                    raise _refusal(str(error).splitlines()[0].rstrip(".")) from error
                self.refused = True
        shards, w, rho = self.parts(batch), walker.w, ascent.start(self)
        climbs = (self.climb(walker, self.gradient(walker, s), w, rho) for s in shards)
        points = map(walker.shifted, climbs)
        gradients = (walker.grad(shard, at=z) for shard, z in zip(shards, points, strict=True))
        try:
            g = ascent.mean(shards, gradients)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:  # in the model's own words
            raise ValueError(
                f"mSAM passes {self.num_shards} parts of the batch's {batch.size} examples through "
                f"the model one by one, and one failed: {error}. A model that takes whole batches "
                "alone, as of a graph or with a hidden state for each example, needs another "
                "method, as sam."
            ) from error
        return walker.descend(g)

    def parts(self, batch: Batch) -> list[Batch]:
        """Cut the batch into shards. Raises ValueError for fewer examples than shards."""
        if batch.size < self.num_shards:
            raise ValueError(
                f"mSAM needs a batch of at least {self.num_shards} examples, one for each shard. "
                f"Got {batch.size}: use drop_last=True in the DataLoader, or fewer `num_shards`."
            )
        return batch.shards(self.num_shards)

    def gradient(self, walker: Walker, shard: Batch, at: Tensor | None = None) -> Tensor:
        """Delegate to the method inside."""
        return ascent.inside(self.over).gradient(walker, shard, at)

    @property
    def ball(self) -> str:
        """Length that `rho` is for the method inside."""
        return ascent.inside(self.over).ball

    def climb(self, walker: Walker, g: Tensor, w: Tensor, rho: ascent.Radius) -> Tensor:
        """Delegate to the method inside."""
        return ascent.inside(self.over).climb(walker, g, w, rho)

    def _vectorised_step(self, walker: Walker, batch: Batch) -> None:
        w, rho = walker.w, ascent.start(self)
        g = walker.grads(batch, self.num_shards)
        e = torch.stack([self.climb(walker, g_j, w, rho) for g_j in g])
        walker.descend(walker.grads(batch, self.num_shards, at=w + e).mean(0))

    def _vectorises(self, walker: Walker, batch: Batch) -> bool:
        if self.mode == "sequential" or self.refused:
            return False
        reason = obstacle(walker, batch, self.num_shards)
        if not self.plain:
            reason = f"{type(self.over).__name__} climbs by another loss"
        if self.mode == "auto":
            gains = self.num_shards >= GAINING and self.num_shards * walker.weights.n <= SMALL
            return gains and reason is None
        if reason is not None:
            raise _refusal(reason)
        return True


def _refusal(reason: str) -> ValueError:
    return ValueError(f'`mode` "vmap" cannot be here: {reason}. Use "auto" or "sequential".')


def obstacle(walker: Walker, batch: Batch, num_shards: int) -> str | None:
    """Reason why the shards cannot go through the model in one vectorised pass; None: they can."""
    if not isinstance(walker, Walker):
        return "a learned radius is differentiated shard by shard"
    if not walker.plain:
        return "a penalty looks into each pass"
    if getattr(batch, "over_ranks", False):
        return "its shards lie on several ranks"
    if batch.size % num_shards:
        return f"{num_shards} shards of {batch.size} examples are not equal"
    if walker.autocast is not None:
        return "autocast is on"
    if hooked(walker.weights.parameters):
        return "a parameter has a hook"
    for module in walker.model.modules():
        if isinstance(module, KEEPING) or (isinstance(module, DRAWING) and module.training):
            return f"the model has a {type(module).__name__}"
    return None
