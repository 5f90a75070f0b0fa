"""Walker: all that a method may see and do.

A method chooses three things freely: WHERE it takes a gradient (`at`), ON WHAT batch, OF WHICH
loss. Everything else (momentum, weight decay, schedules, clipping, autocast, batch norm, dropout)
is the walker's and the base optimizer's business and happens in one place: here.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.func import vmap
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.optim import Optimizer

from landscape.methods.walker.accumulation import MicroBatches, averaged, weighted_parts
from landscape.methods.walker.checks import check_parameters, check_precision
from landscape.methods.walker.closure import Closure
from landscape.methods.walker.descent import Descent
from landscape.methods.walker.extra_batches import SideData
from landscape.methods.walker.parameter_hooks import hooked, run_hooks
from landscape.methods.walker.pass_gradient import PassGradient, differentiate
from landscape.network.batch import Batch, Logits, LossFn, scalar
from landscape.network.graph_leaves import check_not_captured, graph_leaves
from landscape.network.higher_order import SecondOrder
from landscape.network.isolation import isolated_buffers, kept_modes
from landscape.network.linear_layer import logits_of
from landscape.network.weights import Weights
from landscape.utils.rng import seed_of, seeded


class Walker:
    """Context of a training step: a network at a point of R^n, its base optimizer and its data.

    model, optimizer: the optimizer must hold exactly the model's trainable parameters.
    loss: (model, batch) -> mean over the batch, shape (). logits: classes last; default the
    model's output.
    held_out: re-iterable of batches, cycled; fresh: an iterator of further training batches. Both
    only for methods that ask for them.
    seed: of dropout masks and whatever else a pass draws: each pass from (seed, step, pass), or
    all passes of a step alike with `same_mask` (rule R5).
    autocast: torch.bfloat16 for mixed precision, or None. max_grad_norm: clips what `descend` is
    given.

    A pass over `MicroBatches` is one over each; a `Closure` runs with the parameters moved.

    Raises ValueError where optimizer, model and precision do not go together.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        loss: LossFn,
        *,
        logits: Logits | None = None,
        held_out: Iterable[Batch] | None = None,
        fresh: Iterator[Batch] | None = None,
        seed: int = 0,
        same_mask: bool = False,
        autocast: torch.dtype | None = None,
        max_grad_norm: float | None = None,
    ):
        self.model, self.optimizer, self.loss = model, optimizer, loss
        self._given_loss = loss
        self.plain = True  # without a penalty
        self.weights = Weights(model)
        check_parameters(self.weights, optimizer)
        check_precision(self.weights, autocast)
        self.device = self.weights.parameters[0].device
        self.autocast, self.max_grad_norm, self.same_mask = autocast, max_grad_norm, same_mask
        self._logits, self._side, self._seed = logits, SideData(held_out, fresh), seed
        self._flat: Tensor | None = None
        self._versions: list[int] = []
        self._names = {
            id(p): name for name, p in zip(self.weights.names, self.weights.parameters, strict=True)
        }
        self._descent = Descent(self.weights, optimizer, max_grad_norm)
        self._passes_count = True  # towards the next descent
        self.step_index = -1
        self.passes = 0
        self.grad_evals = 0.0
        self.begin(size=None)

    def begin(self, size: int | None) -> None:
        """A new step on a batch of `size` examples starts: weights are read anew, logs emptied."""
        self.step_index += 1
        self.step_size = size
        self.step_pass = 0
        self._flat = None
        self._others: list[Tensor] | None = None  # not looked for yet in this step
        self._descent.forget()
        self._losses: list[tuple[Tensor, float]] = []
        self.logged: dict[str, Tensor | float] = {}

    @property
    def w(self) -> Tensor:
        """Point of the walker, (n,): a copy."""
        return self._current().clone()

    @property
    def layers(self) -> Mapping[str, slice]:
        """Parameter name -> slice of `w`."""
        return self.weights.layers

    @contextmanager
    def minimising(self, loss: LossFn) -> Iterator[None]:
        """While open, `loss` is the walker's loss: how a penalty goes around another method."""
        kept = self.loss, self.plain
        self.loss, self.plain = loss, False
        try:
            yield
        finally:
            self.loss, self.plain = kept

    @contextmanager
    def leading(self) -> Iterator[None]:
        """While open, gradients only lead the way: the next `descend` is not along them.

        What they alone reached is then left alone by the base optimizer, as in a plain loop.
        """
        kept, self._passes_count = self._passes_count, False
        try:
            yield
        finally:
            self._passes_count = kept

    def logits(self, batch: Batch) -> Tensor:
        """The classifier's logits, classes last. Call it inside a loss."""
        if self._logits is None:
            return logits_of(self.model, batch, self._given_loss)
        return self._logits(self.model, batch)

    def grad(self, batch: Batch, at: Tensor | None = None, loss: LossFn | None = None) -> Tensor:
        """∇L on a batch, (n,).

        Without `at`: the step's own pass, the one that moves batch norm's running statistics.
        With `at`, a point (n,): a look, which leaves no trace (rule R2).
        """
        return self.value_and_grad(batch, at, loss)[1]

    def value_and_grad(
        self, batch: Batch, at: Tensor | None = None, loss: LossFn | None = None
    ) -> tuple[Tensor, Tensor]:
        """L, shape (), and ∇L, (n,), of one pass."""
        value = g = None
        for part, weight in weighted_parts(batch):
            value_j, g_j = self._pass(part, at, loss, weight, g)
            value = value_j if value is None else value + value_j
            g = g_j if g is None else g + g_j
        return cast(Tensor, value), cast(Tensor, g)

    def grads(self, batch: Batch, num_shards: int, at: Tensor | None = None) -> Tensor:
        """∇L of each of `num_shards` equal parts of a batch, (num_shards, n), in one pass by vmap.

        Without `at` all at w, with it, (num_shards, n), each at its own point. For models that keep
        and draw nothing in a pass: no batch norm, no dropout. Micro-batches go one by one.
        """
        if isinstance(batch, MicroBatches):
            each = [None] * num_shards if at is None else at
            shards = zip(batch.shards(num_shards), each, strict=True)
            return torch.stack([self.grad(shard, point) for shard, point in shards])
        x, y = batch.stacked(num_shards)

        def value(point: list[Tensor], x: Any, y: Any) -> Tensor:
            with self.weights.substituted(point):
                return self._evaluate(Batch(x, y), None)

        w = self._current().expand(num_shards, -1) if at is None else at
        leaves = [part.detach().requires_grad_() for part in self.weights.stacked(w)]
        with kept_modes(self.model), isolated_buffers(self.model), torch.enable_grad():
            values = vmap(value, in_dims=(0, 0, None if y is None else 0))(leaves, x, y)
            found = self._differentiate(values.sum(), leaves, None)
        others = [(t, g / num_shards) for t, g in found.others]
        self._counted(batch, found._replace(others=others), look=at is not None)
        if at is None:
            self._losses.append((values.mean().detach(), _share(batch)))
        gradients = [
            torch.zeros_like(leaf) if g is None else g
            for g, leaf in zip(found.parameters, leaves, strict=True)
        ]
        return torch.cat([g.reshape(num_shards, -1) for g in gradients], dim=1).detach()

    def value(self, batch: Batch, at: Tensor | None = None, loss: LossFn | None = None) -> Tensor:
        """L on a batch without a gradient, shape (). A look, wherever it is taken."""

        def of(part: Batch) -> Tensor:
            leaf = self._leaf(at)  # opened with gradients: a penalty may differentiate inside
            with torch.enable_grad(), self._opened(leaf, look=True), torch.no_grad():
                return self._evaluate(part, loss)

        return averaged(batch, of)

    def hvp(self, batch: Batch, v: Tensor, at: Tensor, loss: LossFn | None = None) -> Tensor:
        """∇²L(at)·v on a batch, (n,), by double backward. A look."""

        if hooked(self.weights.parameters):
            raise ValueError(
                "A Hessian-vector product runs no hooks of parameters. Remove them, or choose "
                'gradients instead, as hessian="difference" of lets.'
            )

        def of(part: Batch) -> Tensor:
            leaf = self._leaf(at)
            with self._opened(leaf, look=True), sdpa_kernel(SDPBackend.MATH), SecondOrder():
                g = _gradient(self._evaluate(part, loss), leaf, create_graph=True)
                product = _gradient(g, leaf, v)
            self._count(part)
            return product

        return averaged(batch, of)

    def descend(self, g: Tensor) -> None:
        """Make one step of the base optimizer with the gradient g (n,), clipped if configured."""
        self._descent.step(self._current(), g)
        self._flat = None

    def response(self, u: Tensor) -> Tensor:
        """Derivative of the last base step with respect to its gradient, applied to u: (n,) ->
        (n,).

        For w⁺ = BaseOpt(w, g): (∂w⁺/∂g)·u, through clipping, learning rates, groups, momentum,
        Nesterov and Adam's moments. Plain SGD: -lr·u.
        """
        return self._descent.response(u)

    @property
    def moved(self) -> Tensor:
        """Coordinates that had a gradient in the last base step, (n,) bool."""
        return self._descent.moved()

    def move_to(self, w: Tensor) -> None:
        """Stand at w (n,). The base optimizer's state stays as it is."""
        self.weights.write(w)
        self._flat = None

    def held_out(self) -> Batch:
        """The next batch of held-out data."""
        return self._side.held_out()

    def fresh(self) -> Batch:
        """A further training batch, drawn independently of the step's own."""
        return self._side.fresh()

    def feed(self, held_out: Iterable[Batch] | None, fresh: Iterator[Batch] | None) -> None:
        """Put other streams in the place of `held_out` and `fresh`; held-out data starts over."""
        self._side = SideData(held_out, fresh)

    def log(self, **scalars: Tensor | float) -> None:
        """Values to keep beside the step's loss; `loss` itself where the passes do not show it."""
        self.logged.update(scalars)

    @property
    def step_loss(self) -> Tensor:
        """The loss at w before the step, mean over the step's own passes by weight; NaN: none."""
        if "loss" in self.logged:
            return torch.as_tensor(self.logged["loss"])
        if not self._losses:
            return torch.tensor(float("nan"))
        total = sum(share for _, share in self._losses)
        return torch.stack([value * (share / total) for value, share in self._losses]).sum()

    def _pass(
        self,
        batch: Batch,
        at: Tensor | None,
        loss: LossFn | None,
        weight: float | None,
        before: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """L and ∇L of one pass, times `weight`; before: (n,), that of other parts of the batch."""
        look = at is not None
        if isinstance(batch, Closure):
            with self._opened(None, look):
                other = loss if self.plain else self.loss
                value, found = batch.value_and_grad(self.weights, at, other)
        else:
            leaves = self.weights.leaves(self._current() if at is None else at)
            with self._opened(leaves, look), torch.enable_grad():
                value = self._evaluate(batch, loss)
                found = self._differentiate(value, leaves, loss)  # inside: some modules recompute
            found = found.weighted(weight)
            found = found._replace(parameters=run_hooks(self.weights, found.parameters, before))
        self._counted(batch, found, look)
        if at is None and loss is None:
            self._losses.append((value.detach(), _share(batch)))
        value = value.detach() if weight is None else weight * value.detach()
        return value, self.weights.flatten(found.parameters)

    def _differentiate(
        self, value: Tensor, leaves: Sequence[Tensor], loss: LossFn | None
    ) -> PassGradient:
        if self._others is None and loss is None:
            substitutes = {id(leaf) for leaf in leaves}
            others = [t for t in graph_leaves(value) if id(t) not in substitutes]
            check_not_captured(others, self._names)
            self._others = others
        return differentiate(value, leaves, self._others or ())

    def _current(self) -> Tensor:
        """Point of the walker; never changed in place."""
        versions = [p._version for p in self.weights.parameters]
        if self._flat is None or self._versions != versions:  # moved by us, or by somebody else
            self._flat, self._versions = self.weights.read(), versions
        return self._flat

    def _leaf(self, at: Tensor | None) -> Tensor:
        return (self._current() if at is None else at).detach().requires_grad_()

    @contextmanager
    def _opened(self, point: Tensor | Sequence[Tensor] | None, look: bool) -> Iterator[None]:
        """The model stands at a point, None: where it is; a look is isolated."""
        mask = 0 if self.same_mask else self.step_pass
        self.step_pass += 1
        with ExitStack() as stack:
            enter = stack.enter_context
            if look:
                enter(kept_modes(self.model))
                enter(isolated_buffers(self.model))
            enter(seeded(seed_of(self._seed, self.step_index, mask), self.device))
            if point is not None:
                enter(self.weights.substituted(point))
            yield

    def _evaluate(self, batch: Batch, loss: LossFn | None) -> Tensor:
        """A block of autocast of its own, since casts of weights are cached in it (rule R6)."""
        with torch.autocast(
            self.device.type, dtype=self.autocast, enabled=self.autocast is not None
        ):
            return scalar((loss or self.loss)(self.model, batch))

    def _counted(self, batch: Batch, gradient: PassGradient, look: bool) -> None:
        if self._passes_count:
            self._descent.count(gradient, look, _share(batch))
        self._count(batch)

    def _count(self, batch: Batch) -> None:
        self.passes += 1
        self.grad_evals += 1.0 if self.step_size is None else batch.size / self.step_size


def _share(batch: Batch | None) -> float:
    """Weight of a batch; 1 for test objectives that need no data."""
    return 1.0 if batch is None else batch.share


def _gradient(
    y: Tensor, leaf: Tensor, v: Tensor | None = None, create_graph: bool = False
) -> Tensor:
    if not y.requires_grad:
        return torch.zeros_like(leaf)
    (g,) = torch.autograd.grad(y, leaf, v, create_graph=create_graph, materialize_grads=True)
    return g
