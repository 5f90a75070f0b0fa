"""Data parallelism: every rank holds the whole model and its part of the batch.

global     every gradient and loss is averaged over the ranks, also those of a climb: any method is
           what it is on one device with the union of the batches.
per-rank   each rank climbs and averages on its own; one average, of the final gradient. SAM is then
           mSAM with a shard per rank, mSAM with r shards one with r per rank (Behdin et al. 2023).

Results under `per-rank` depend on the number of ranks, under `global` they do not, but for batch
norm, which normalises each rank's examples by themselves and keeps statistics per rank.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from landscape.methods.walker.walker import Walker
from landscape.network.batch import Batch, LossFn
from landscape.utils.rng import seed_of

ASCENTS = ("global", "per-rank")


class DistributedWalker(Walker):
    """A walker that is one of several, as `torch.distributed` has them.

    ascent: "global" or "per-rank", see above. Weights and buffers start as those of rank 0; dropout
    masks differ between ranks. Needs an initialised process group.

    Raises ValueError for an unknown ascent, no process group, or a model that does its own
    synchronisation (DDP, FSDP, synchronised batch norm).
    """

    def __init__(
        self, model: nn.Module, *arguments: Any, ascent: str, seed: int = 0, **options: Any
    ):
        _check(model, ascent)
        super().__init__(model, *arguments, seed=seed_of(seed, dist.get_rank()), **options)
        self.ascent = ascent
        self._descent.agree = self._on_any_rank
        with torch.no_grad():
            for t in (*model.parameters(), *model.buffers()):
                dist.broadcast(t, src=0)

    def value_and_grad(
        self, batch: Batch, at: Tensor | None = None, loss: LossFn | None = None
    ) -> tuple[Tensor, Tensor]:
        """L and ∇L of one pass, over all ranks where the ascent is global."""
        value, g = super().value_and_grad(batch, at, loss)
        return self._looked(value, batch), self._looked(g, batch)

    def grads(self, batch: Batch, num_shards: int, at: Tensor | None = None) -> Tensor:
        """∇L of each shard; the j-th of all ranks together are one where the ascent is global."""
        return self._looked(super().grads(batch, num_shards, at), batch)

    def value(self, batch: Batch, at: Tensor | None = None, loss: LossFn | None = None) -> Tensor:
        """L without a gradient."""
        return self._looked(super().value(batch, at, loss), batch)

    def hvp(self, batch: Batch, v: Tensor, at: Tensor, loss: LossFn | None = None) -> Tensor:
        """∇²L(at)·v."""
        return self._looked(super().hvp(batch, v, at, loss), batch)

    def descend(self, g: Tensor) -> None:
        """One step of the base optimizer with the same gradient on every rank.

        Raises ValueError for a loss with parameters of its own.
        """
        if self._others:
            raise ValueError(
                "With `distributed` a loss must have no parameters of its own: their gradients "
                "would differ between ranks. Make them part of the model."
            )
        if self.ascent == "per-rank":
            g = average(g, float(self.step_size or 1))
        super().descend(g)

    def _on_any_rank(self, reached: list[bool]) -> list[bool]:
        """A parameter that some rank reached gets a gradient on every rank."""
        flags = torch.tensor(reached, dtype=torch.int32, device=self.device)
        dist.all_reduce(flags, op=dist.ReduceOp.MAX)
        return [bool(flag) for flag in flags.tolist()]

    def _looked(self, found: Tensor, batch: Batch) -> Tensor:
        return average(found, batch.share) if self.ascent == "global" else found


def average(t: Tensor, share: float) -> Tensor:
    """Mean over the ranks, each counted by its share, on every rank; any shape."""
    total = torch.tensor(share, dtype=torch.float64, device=t.device)
    dist.all_reduce(total)
    mean = t * (share / total).to(t.dtype)
    dist.all_reduce(mean)
    return mean


def _check(model: nn.Module, ascent: str) -> None:
    if ascent not in ASCENTS:
        raise ValueError(f"`distributed` must be one of {', '.join(ASCENTS)}. Got {ascent!r}.")
    if not dist.is_initialized():
        raise ValueError(
            f'distributed="{ascent}" needs a process group: call '
            "torch.distributed.init_process_group first, and start with torchrun."
        )
    if isinstance(model, DistributedDataParallel):
        raise ValueError("Pass the bare module, `model.module`: gradients are averaged here.")
    if any(hasattr(m, "unshard") or hasattr(m, "summon_full_params") for m in model.modules()):
        raise ValueError("Sharded parameters (FSDP) have no flat vector per rank. Do not shard.")
    if any(isinstance(m, nn.SyncBatchNorm) for m in model.modules()):
        raise ValueError(
            "Synchronised batch norm mixes activations of differently perturbed ranks. "
            "Use plain batch norm, group norm or layer norm."
        )
