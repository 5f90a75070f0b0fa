"""A network whose weights lie in shards on several processes: L(w), ∇L(w) and ∇²L(w)·v.

Vectors are shards (local,): inner products are sums over `ShardedObjective.ranks`.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

from landscape.distributed.ranks import ranks_of
from landscape.network.batch import Batch, LossFn, scalar
from landscape.network.higher_order import SecondOrder, nodes_of, second_derivatives
from landscape.network.isolation import (
    differentiable_kernels,
    full_precision,
    gradients_on,
    isolated_buffers,
    kept_modes,
    kept_module_state,
    no_autocast,
)
from landscape.network.modes import set_eval
from landscape.objective.data import fingerprint_of, load_batches, weight_fractions, with_weight
from landscape.objective.shards import Sharded
from landscape.utils.rng import seed_of, seeded_everywhere

OUTSIDE = (
    "The loss reaches sharded weights outside of their module's forward, where they are not there. "
    "Call the module (model.head(x), not F.linear(x, model.head.weight)); penalties on weights "
    "cannot be measured sharded."
)
DROPPED = (
    "The model or loss has an autograd.Function whose backward leaves the operations of torch, so "
    "that double backward, by which sharded networks are measured, drops terms without an error. "
    "Write its backward with torch's operations."
)


class ShardedObjective:
    """The mean loss of a sharded network over the batches of all processes.

        network = ls.sharded(model, init_device_mesh("cuda", (8,)))
        objective = ls.ShardedObjective(network, batches, loss)
        ls.measures.Eigenvalues(k=5)(objective).values

    network: as `sharded` makes it. batches: those of this process, as many as the others have;
    read once and kept. loss: (model, batch) -> the mean over the batch, shape ().
    w, and every vector: this process's shard (local,). ranks: sums over processes.

    The model runs in eval mode and IEEE arithmetic. All processes make the same calls.
    `Eigenvalues` and `Trace` of the Hessian take it; other measures refuse.

    Raises ValueError where the processes have different numbers of batches.
    """

    is_sharded = True

    def __init__(self, network: Sharded, batches: Iterable[Any], loss: LossFn, *, seed: int = 0):
        self.network, self.loss, self.seed = network, loss, seed
        self.ranks = ranks_of(network.mesh.get_group(), network.device)
        self.batches = with_weight(load_batches(batches, network.device, seed))
        counts = self.ranks.gather(len(self.batches))
        if len(set(counts)) > 1:
            raise ValueError(
                "Each process needs as many batches as the others, because blocks are gathered by "
                f"all at once. Got {', '.join(map(str, counts))}."
            )
        self.fractions = weight_fractions(self.batches, self.ranks)
        self.n, self.local, self.device = network.n, network.local, network.device
        trainable = network.shards[: len(network.names)]
        self._sizes = [t.numel() for t in trainable]
        self.w = torch.cat(trainable)
        self._has_custom_functions = self._trusted = False

    @cached_property
    def fingerprint(self) -> str:
        """Fingerprint of the data of all processes."""
        return fingerprint_of(self.batches, self.ranks)

    @property
    def examples(self) -> int:
        """Number of examples of all processes."""
        return sum(self.ranks.gather(sum(batch.size for batch in self.batches)))

    def value(self, at: Tensor | None = None) -> float:
        """L at a point (local,), default `w`."""
        with self._opened(at, grad=False):
            losses = [loss.detach().double() for loss in self._losses()]
        return float(self.ranks.sum(torch.stack(losses).sum()))

    def grad(self, at: Tensor | None = None) -> Tensor:
        """∇L at a point, this process's shard (local,)."""
        total = torch.zeros_like(self.w)
        with self._opened(at) as leaves:
            for loss in self._losses():
                total += self._flat(torch.autograd.grad(loss, leaves, allow_unused=True))
        return total

    def hvp(self, v: Tensor, at: Tensor | None = None) -> Tensor:
        """∇²L·v at a point, this process's shard, by double backward; v (local,).

        Raises ValueError where an autograd.Function of the model or loss drops terms of it.
        """
        if v.shape != (self.local,):
            raise ValueError(f"`v` must have shape ({self.local},). Got {tuple(v.shape)}.")
        product = self._product(v, at)
        if not self._trusted:
            if self.ranks.any(self._has_custom_functions):
                self._refuse_dropped_terms()
            self._trusted = True
        return product

    def _product(self, v: Tensor, at: Tensor | None) -> Tensor:
        along = [self.network.as_dtensor(i, t) for i, t in enumerate(v.split(self._sizes))]
        total = torch.zeros_like(self.w)
        with second_derivatives(), SecondOrder(), self._opened(at) as leaves:
            for loss in self._losses():
                if not self._trusted:
                    self._has_custom_functions |= any(map(_is_custom, nodes_of(loss)))
                with self.network.regathering(leaves):
                    slopes = torch.autograd.grad(loss, leaves, create_graph=True, allow_unused=True)
                curved = [i for i, g in enumerate(slopes) if g is not None and g.requires_grad]
                if not curved:
                    continue
                total += self._flat(
                    torch.autograd.grad(
                        [slopes[i] for i in curved],
                        leaves,
                        [along[i] for i in curved],
                        allow_unused=True,
                    )
                )
        return total

    def _refuse_dropped_terms(self) -> None:
        """Hold a product against central differences of the gradient, with two step sizes."""
        generator = torch.Generator().manual_seed(self.ranks.index)
        v = torch.randn(self.local, generator=generator).to(self.w)
        exact, eps = self._product(v, None), torch.finfo(v.dtype).eps
        step = eps ** (1 / 3) * self._norm(self.w) / self._norm(v)
        near, far = (
            (self.grad(self.w + h * v) - self.grad(self.w - h * v)) / (2 * h)
            for h in (step, 4 * step)
        )
        allowed = 4 * self._norm(near - far) + 3 * eps**0.5 * self._norm(near)
        if not self._norm(exact - near) <= allowed:
            raise ValueError(DROPPED)

    def _norm(self, v: Tensor) -> float:
        return float(self.ranks.sum(v.double().square().sum()).sqrt())

    @contextmanager
    def _opened(self, at: Tensor | None, grad: bool = True) -> Iterator[list[DTensor]]:
        """While open, the model stands at a point, isolated; yields the leaves of w."""
        model, point = self.network.model, self.w if at is None else at
        leaves = self.network.leaves(point.split(self._sizes), grad)
        with ExitStack() as stack:
            for context in (
                gradients_on(),
                kept_modes(model),
                kept_module_state(model),
                isolated_buffers(model),
                full_precision(self.device),
                no_autocast(),
                seeded_everywhere(seed_of(self.seed, 0), self.device),
                differentiable_kernels(model),
                self.network.standing_at(leaves),
            ):
                stack.enter_context(context)
            set_eval(model)
            yield leaves[: len(self._sizes)]

    def _losses(self) -> Iterator[Tensor]:
        for batch, fraction in zip(self.batches, self.fractions, strict=True):
            yield fraction * self._loss(batch)

    def _loss(self, batch: Batch) -> Tensor:
        try:
            loss = scalar(self.loss(self.network.model, batch.copy()))
        except (RuntimeError, NotImplementedError) as error:
            if "meta" in str(error):
                raise ValueError(OUTSIDE) from error
            raise
        if loss.is_meta:
            raise ValueError(OUTSIDE)
        return loss

    def _flat(self, gradients: Sequence[Any]) -> Tensor:
        """DTensors, None for zeros, as this process's shard (local,)."""
        pieces = [
            self.w.new_zeros(size) if g is None else g.detach().to_local()
            for size, g in zip(self._sizes, gradients, strict=True)
        ]
        return torch.cat(pieces)


def _is_custom(node: Any) -> bool:
    """Test whether a node of a graph is an autograd.Function that is not of torch itself."""
    function = getattr(type(node), "_forward_cls", None)
    return function is not None and not function.__module__.startswith("torch.")
