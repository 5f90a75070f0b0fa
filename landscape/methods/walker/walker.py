"""Walker: all that a method may see and do.

A method chooses three things freely: WHERE it takes a gradient (`at`), ON WHAT batch, OF WHICH
loss. Everything else (momentum, weight decay, schedules, clipping, autocast, batch norm, dropout)
is the walker's and the base optimizer's business and happens in one place: here.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from landscape.methods.walker.accumulation import MicroBatches, averaged, share_of, weighted_parts
from landscape.methods.walker.base_step import Carried
from landscape.methods.walker.checks import Unchanged, check_parameters, check_precision
from landscape.methods.walker.closure import Closure
from landscape.methods.walker.descent import Descent
from landscape.methods.walker.extra_batches import SideData
from landscape.methods.walker.memory import Memory
from landscape.methods.walker.parameter_hooks import check_no_hooks, run_hooks
from landscape.methods.walker.pass_gradient import PassGradient
from landscape.methods.walker.passes import Passes
from landscape.methods.walker.position import Position
from landscape.methods.walker.step_losses import StepLosses
from landscape.methods.walker.vectorised import shard_gradients
from landscape.network.batch import Batch, Logits, LossFn
from landscape.network.linear_layer import logits_of
from landscape.network.weights import Weights


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
        self.given_loss, self.plain = loss, True  # without a penalty
        self.weights = Weights(model)
        check_parameters(self.weights, optimizer)
        check_precision(self.weights, autocast)
        self.device = self.weights.parameters[0].device
        self.autocast, self.max_grad_norm, self.same_mask = autocast, max_grad_norm, same_mask
        self.given_logits, self._side = logits, SideData(held_out, fresh)
        self._memory = Memory(self.weights.parameters[0], self.weights.n)
        self._position = Position(self.weights, self._memory)
        self._unchanged = Unchanged(model, optimizer)
        self._passes = Passes(model, self.weights, loss, seed, same_mask, autocast)
        self._descent = Descent(self.weights, optimizer, max_grad_norm, self._memory)
        self._descends = True  # along the gradients of the passes to come
        self.step_index = -1
        self.passes, self.grad_evals = 0, 0.0
        self.begin(size=None)

    def begin(self, size: int | None) -> None:
        """A new step on a batch of `size` examples starts: weights are read anew, logs emptied.

        Raises ValueError where model or optimizer hold other parameters than at the start.
        """
        self._unchanged.check()
        self.step_index += 1
        self.step_size = size
        self._position.forget()
        self._descent.forget()
        self._passes.begin(self.step_index)
        self._losses = StepLosses()
        self.logged: dict[str, Tensor | float] = {}

    @property
    def w(self) -> Tensor:
        """Point of the walker, (n,): a copy."""
        return self._memory.copy(self._position.read())

    def shifted(self, e: Tensor) -> Tensor:
        """Point w + e, (n,)."""
        return torch.add(self._position.read(), e, out=self.vector())

    def vector(self) -> Tensor | None:
        """Memory for a vector (n,), to be written to; None where it is best taken anew."""
        return self._memory.empty()

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
        kept, self._descends = self._descends, False
        try:
            yield
        finally:
            self._descends = kept

    def aside(self) -> AbstractContextManager[None]:
        """While open, passes are none of the step's: it draws on as if there had been none."""
        return self._passes.aside()

    def logits(self, batch: Batch) -> Tensor:
        """The classifier's logits, classes last. Call it inside a loss."""
        if self.given_logits is None:
            return logits_of(self.model, batch, self.given_loss)
        return self.given_logits(self.model, batch)

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
        with self._passes.state.own() if at is None else self._passes.state.look():
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
        points = self._position.read().expand(num_shards, -1) if at is None else at
        with self._passes.stateless(), torch.enable_grad():
            values, gradient, rows = shard_gradients(
                self.weights,
                points,
                batch,
                lambda shard: self._passes.value(self.loss, shard),
                lambda value, leaves: self._passes.gradient(value, leaves, is_loss=True),
            )
        self._counted(batch, gradient, look=at is not None)
        if at is None:
            self._losses.add(values.mean(), share_of(batch))
        return rows

    def value(self, batch: Batch, at: Tensor | None = None, loss: LossFn | None = None) -> Tensor:
        """L on a batch without a gradient, shape (). A look, wherever it is taken."""

        def of(part: Batch) -> Tensor:
            # leaves: a penalty may differentiate inside
            leaves = self.weights.leaves(self._position.read() if at is None else at)
            with torch.no_grad(), self._passes.opened(leaves):
                return self._passes.value(loss or self.loss, part)

        with self._passes.state.look():
            return averaged(batch, of)

    def hvp(self, batch: Batch, v: Tensor, at: Tensor, loss: LossFn | None = None) -> Tensor:
        """∇²L(at)·v on a batch, (n,), by double backward. A look."""
        check_no_hooks(self.weights.parameters)

        def of(part: Batch) -> Tensor:
            self.count(part)
            return self._passes.product(loss or self.loss, part, self._leaf(at), v)

        with self._passes.state.look():
            return averaged(batch, of)

    def descend(self, g: Tensor) -> None:
        """Make one step of the base optimizer with the gradient g (n,), clipped if configured."""
        self._descent.step(self._position.read(), g)
        self._position.forget()

    def push_forward(
        self, dw: Tensor, dg: Tensor, carried: Sequence[Carried] = ()
    ) -> tuple[Tensor, list[Carried]]:
        """Differentiate the last base step w⁺ = BaseOpt(w, g): (n,), (n,) -> (n,) and state.

        From the tangents of w, g and the optimizer's state before it to those after it, through
        clipping, learning rates, groups, weight decay, momentum, Nesterov and Adam's moments.
        carried: what the call for the base step before returned; () where nothing is carried.
        """
        return self._descent.push_forward(dw, dg, carried)

    def response(self, u: Tensor) -> Tensor:
        """Derivative of the last base step with respect to its gradient, applied to u: (n,) ->
        (n,).

        For w⁺ = BaseOpt(w, g): (∂w⁺/∂g)·u. Plain SGD: -lr·u.
        """
        return self.push_forward(torch.zeros_like(u), u)[0]

    def move_to(self, w: Tensor) -> None:
        """Stand at w (n,). The base optimizer's state stays as it is."""
        self._position.write(w)

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

    def count(self, batch: Batch, passes: int = 1, cost: float = 1.0) -> None:
        """Add `passes` over a batch that together cost as much as `cost` gradients of its loss.

        The walker counts its own; products with the Hessian inside of a loss are the caller's.
        """
        fraction = 1.0 if self.step_size is None else batch.size / self.step_size
        self.passes += passes
        self.grad_evals += cost * fraction

    @property
    def step_loss(self) -> Tensor:
        """The loss at w before the step, mean over the step's own passes by weight; NaN: none."""
        if "loss" in self.logged:
            return torch.as_tensor(self.logged["loss"])
        return self._losses.mean()

    @property
    def step_weight(self) -> float:
        """The weight of the examples that `step_loss` is the mean over; 0 for none."""
        return self._losses.weight

    def _pass(
        self,
        batch: Batch,
        at: Tensor | None,
        loss: LossFn | None,
        weight: float | None,
        before: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """L and ∇L of one pass, times `weight`; before: (n,), that of other parts of the batch."""
        if isinstance(batch, Closure):
            with self._passes.opened(None):
                other = loss if self.plain else self.loss
                value, gradient = batch.value_and_grad(self.weights, at, other)
        else:
            leaves = self.weights.leaves(self._position.read() if at is None else at)
            with self._passes.opened(leaves), torch.enable_grad():
                value = self._passes.value(loss or self.loss, batch)
                # inside: some modules recompute
                gradient = self._passes.gradient(value, leaves, is_loss=loss is None)
            gradient = gradient.weighted(weight)
            hooked = run_hooks(self.weights, gradient.parameters, before)
            gradient = gradient._replace(parameters=hooked)
        self._counted(batch, gradient, look=at is not None)
        if at is None and loss is None:
            self._losses.add(value.detach(), share_of(batch))
        value = value.detach() if weight is None else weight * value.detach()
        return value, self._memory.joined(self.weights.filled(gradient.parameters))

    def _leaf(self, at: Tensor | None) -> Tensor:
        return (self._position.read() if at is None else at).detach().requires_grad_()

    def _counted(self, batch: Batch, gradient: PassGradient, look: bool) -> None:
        if self._descends:
            self._descent.count(gradient, look, share_of(batch))
        self.count(batch)
