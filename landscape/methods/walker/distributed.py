"""Data parallelism: every rank holds the whole model and its part of the batch.

global     every gradient and loss is averaged over the ranks, also those of a climb: any method is
           what it is on one device with the union of the batches.
per-rank   each rank climbs and averages on its own; one average, of the final gradient. SAM is then
           mSAM with a shard per rank, mSAM with r shards one with r per rank (Behdin et al. 2023).

Results under `per-rank` depend on the number of ranks, under `global` they do not, but for batch
norm, which normalises each rank's examples by themselves and keeps statistics per rank.
"""

import warnings
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from landscape.methods.walker.accumulation import whole_of
from landscape.methods.walker.walker import Walker
from landscape.network.batch import Batch, LossFn
from landscape.utils.rng import seed_of

ASCENTS = ("global", "per-rank")
SHARDED = "Sharded parameters (FSDP, DTensor) have no flat vector per rank. Do not shard."


class DistributedWalker(Walker):
    """Walker on one of several ranks of `torch.distributed`.

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
        """Return L and ∇L of one pass, averaged over the ranks where the ascent is global."""
        value, g = super().value_and_grad(batch, at, loss)
        return self._over_ranks(value, batch), self._over_ranks(g, batch)

    def grads(self, batch: Batch, num_shards: int, at: Tensor | None = None) -> Tensor:
        """Return ∇L of each shard, averaged over the ranks where the ascent is global."""
        return self._over_ranks(super().grads(batch, num_shards, at), batch)

    def value(self, batch: Batch, at: Tensor | None = None, loss: LossFn | None = None) -> Tensor:
        """Return L without a gradient."""
        return self._over_ranks(super().value(batch, at, loss), batch)

    def hvp(self, batch: Batch, v: Tensor, at: Tensor, loss: LossFn | None = None) -> Tensor:
        """Return ∇²L(at)·v."""
        return self._over_ranks(super().hvp(batch, v, at, loss), batch)

    def count(self, batch: Batch, passes: int = 1, cost: float = 1.0) -> None:
        """Count a pass by the examples of all ranks, where the batch knows the whole."""
        super().count(whole_of(batch), passes, cost)

    def descend(self, g: Tensor) -> None:
        """Make one base step with the same gradient on every rank.

        Raises ValueError for a loss with parameters of its own.
        """
        if self._passes.others:
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

    def _over_ranks(self, t: Tensor, batch: Batch) -> Tensor:
        return average(t, batch.share) if self.ascent == "global" else t


def average(t: Tensor, weight: float) -> Tensor:
    """Return the mean over the ranks, each by its weight; any shape."""
    total = torch.tensor(weight, dtype=torch.float64, device=t.device)
    dist.all_reduce(total)
    mean = t * (weight / total).to(t.dtype)
    dist.all_reduce(mean)
    return mean


def check_bare(model: nn.Module) -> None:
    """Raise ValueError for a model that synchronises, replicates or shards itself, in any part."""
    for module in model.modules():
        if isinstance(module, DistributedDataParallel | nn.DataParallel):
            raise ValueError(
                f"Pass the bare module, `model.module`, in the place of {type(module).__name__}: "
                'gradients are averaged here, with distributed="global" over all ranks.'
            )
        if hasattr(module, "unshard") or hasattr(module, "summon_full_params"):
            raise ValueError(SHARDED)
    if any(hasattr(p, "full_tensor") for p in model.parameters()):
        raise ValueError(SHARDED)


def check_alone(model: nn.Module) -> None:
    """Refuse what `check_bare` refuses; warn where other ranks would train on their own."""
    check_bare(model)
    ranks = dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1
    if ranks > 1:
        warnings.warn(
            f"{ranks} ranks run, and without `distributed` each trains a model of its own. "
            'Pass distributed="global" or "per-rank" to train one together.',
            stacklevel=3,
        )


def _check(model: nn.Module, ascent: str) -> None:
    if ascent not in ASCENTS:
        raise ValueError(f"`distributed` must be one of {', '.join(ASCENTS)}. Got {ascent!r}.")
    if not dist.is_initialized():
        raise ValueError(
            f'distributed="{ascent}" needs a process group: call '
            "torch.distributed.init_process_group first, and start with torchrun."
        )
    check_bare(model)
    if any(isinstance(m, nn.SyncBatchNorm) for m in model.modules()):
        raise ValueError(
            "Synchronised batch norm mixes activations of differently perturbed ranks. "
            "Use plain batch norm, group norm or layer norm."
        )
