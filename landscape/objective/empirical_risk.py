"""The empirical risk: how a model is opened at a point, and its loss batch by batch."""

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

from torch import Tensor, nn

from landscape.distributed.ranks import ALONE, Alone, ranks_of
from landscape.network import batch_norm as bn
from landscape.network.batch import Batch, LossFn, scalar
from landscape.network.double_precision import DoublePrecision
from landscape.network.isolation import (
    differentiable_kernels,
    full_precision,
    gradients_on,
    isolated_buffers,
    kept_modes,
    kept_module_state,
    modes_of,
    no_autocast,
    no_cached_weights,
    set_modes,
    snapshot,
)
from landscape.network.modes import set_eval
from landscape.network.module_state import Held, module_state, put
from landscape.network.precision import Precision, raised
from landscape.network.weights import Weights
from landscape.objective.data import load_batches, weight_fractions, with_weight
from landscape.objective.derivative import derivative, refuse_written, total
from landscape.objective.streaming import StoredBatch, stored_batches
from landscape.utils.rng import seed_of, seeded_everywhere

Terms = Sequence[tuple[Batch, float]]  # batches with their weight fractions


class EmpiricalRisk:
    """L(w) = Σ_b fraction_b · loss(model at w, batch_b), one pass at a time.

    Owns the model's isolation, its batch-norm policy and the batches. Every pass over the data
    takes its batches from `terms` or `groups` and adds up with `total`, which sums over all ranks
    where the data are spread over several. Memory that runs out is left to the caller.

    batches, fractions: the data of this rank, and the weight fraction of each batch; the fractions
    of all ranks add up to 1.
    ranks: those that hold the data; `ALONE` in one process.
    counts: number of examples and weight of each batch of all ranks, in their order.
    given: the batches as they came; `terms` holds the same examples where batches were split.
    policy: of batch norm, see `landscape.network.batch_norm`.
    w: the point at construction, (n,); not a copy.
    no_derivatives: why derivatives are refused; "" where they exist.
    differentiates: the loss takes derivatives of its own by the weights, so they have a graph in
    every pass.

    Gradients are on in every pass, since a loss may take derivatives itself. A pass builds a graph
    of the weights where it is opened at a leaf, and with the same kernels otherwise: values and
    derivatives are of one function. What the model is given is a copy, weights and data.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: LossFn,
        batches: Sequence[Batch],
        fractions: Sequence[float],
        weights: Weights,
        precision: Precision,
        policy: str,
        seed: int,
        ranks: Alone = ALONE,
    ):
        self.model, self.loss, self.policy, self.seed = model, loss, policy, seed
        self.ranks = ranks
        self.weights, self.precision = weights, precision
        self.device = weights.parameters[0].device
        self.given = tuple(batches)
        counts = ranks.gather([(batch.size, batch.share) for batch in self.given])
        self.counts = [count for of_rank in counts for count in of_rank]
        self.w = raised(weights.read())
        self.no_derivatives = ""
        self.differentiates = False
        self.trained_norms = bn.trained(model) if policy != "stored" else []
        self._held = Held(model, precision.as_they_are)
        self._buffers = precision.buffers(snapshot(model))
        self._state = module_state(model)
        self.regroup(batches, fractions)

    def under(self, policy: str) -> "EmpiricalRisk":
        """The same risk under another batch-norm policy."""
        other = copy.copy(self)
        other.policy, other.trained_norms = policy, bn.trained(self.model)
        return other

    def alone(self) -> "EmpiricalRisk":
        """The risk of this rank's batches, whose passes wait for no other rank."""
        other = copy.copy(self)
        other.ranks = ALONE
        return other

    def on_batches(self, batches: Sequence[Batch]) -> "EmpiricalRisk":
        """The same risk on other batches, averaged by their weights."""
        other = copy.copy(self)
        other.given = tuple(batches)
        other.counts = [(batch.size, batch.share) for batch in other.given]
        other.regroup(other.given, weight_fractions(other.given))
        return other

    def in_float64(self) -> "EmpiricalRisk":
        """The same risk at the same weights in float64. Data are cast batch by batch, as they are
        copied for a pass.
        """
        other = copy.copy(self)
        with self.precision.opened():  # what is not w stands as it was at construction
            other.precision = DoublePrecision(self.model, self.weights.parameters)
        other.w = self.w.double()
        other._buffers = other.precision.buffers(self._buffers)
        return other

    # --- the data

    def regroup(self, batches: Sequence[Batch], fractions: Sequence[float]) -> None:
        """Take the same examples in other batches, with their weight fractions."""
        self.terms: Terms = tuple(zip(batches, fractions, strict=True))

    @property
    def batches(self) -> tuple[Batch, ...]:
        """The batches of `terms`."""
        return tuple(batch for batch, _ in self.terms)

    @property
    def groups(self) -> Sequence[Terms]:
        """The terms in groups of one graph each: re-estimated statistics tie all batches."""
        return [self.terms] if self.policy == "reestimated" else [[term] for term in self.terms]

    @property
    def examples(self) -> int:
        """Number of examples in all batches, of all ranks."""
        return sum(size for size, _ in self.counts)

    @property
    def is_streamed(self) -> bool:
        """Batches are read anew by each pass, and not kept."""
        return any(isinstance(batch, StoredBatch) for batch in self.given)

    def pieces(self, batch: Batch) -> list[Batch]:
        """A batch of one's own, in pieces no larger than the risk's where those were split."""
        if len(self.terms) == len(self.given):
            return [batch]
        largest = max(b.size for b in self.batches)
        return batch.shards(-(-batch.size // largest))

    def total(self, terms: Iterable[Tensor]) -> Tensor:
        """The sum of what the batches of all ranks contribute."""
        return self.ranks.sum(total(terms))

    # --- passes

    def batch_loss(self, batch: Batch) -> Tensor:
        """The loss of a batch where the model stands, shape ()."""
        return scalar(self.answer(self.loss, batch))

    def answer(self, ask: Callable[[nn.Module, Batch], Tensor], batch: Batch) -> Tensor:
        """ask(model, batch) where the model stands. State that the model keeps does not go over to
        the next batch.
        """
        answer = ask(self.model, batch.copy())
        put(self._state)
        return answer

    def losses(self, terms: Terms) -> Iterator[Tensor]:
        """fraction_b · loss_b, one batch after the other."""
        return (fraction * self.batch_loss(batch) for batch, fraction in terms)

    def value(self, point: Tensor) -> float:
        """L at a point (n,)."""
        self.ranks.note(point)
        with self.opened(point):
            return self.total(loss.detach().double() for loss in self.losses(self.terms)).item()

    def gradient(self, point: Tensor) -> Tensor:
        """∇L at a point (n,): batch by batch, so that memory does not grow with the data."""
        return self.ranks.sum(self._own_gradient(point, []))

    def value_and_gradient(self, point: Tensor) -> tuple[float, Tensor]:
        """L and ∇L at a point (n,), from one pass."""
        losses: list[Tensor] = []
        gradient = self._own_gradient(point, losses)
        return self.total(losses).item(), self.ranks.sum(gradient)

    def _own_gradient(self, point: Tensor, losses: list[Tensor]) -> Tensor:
        """Contribution of this rank's batches to ∇L; their losses, float64, are put into a list."""
        self.ranks.note(point)
        leaf = point.detach().clone().requires_grad_()

        def of_group(group: Terms) -> Tensor:
            terms = list(self.losses(group))
            losses.extend(term.detach().double() for term in terms)
            return derivative(total(terms), leaf, None)

        with self.opened(leaf):
            gradient = total(map(of_group, self.groups))
            refuse_written(leaf, point)
        return gradient

    @contextmanager
    def opened(self, point: Tensor | Sequence[Tensor], seed: int = 0) -> Iterator[None]:
        """While open, the model stands at a point (n,), isolated, normalising as the policy says.

        point: flat or by parameter; a leaf, or tensors with a graph, for derivatives.
        seed: tells passes apart that shall draw different random numbers.

        Raises ValueError for a leaf where the risk has no derivatives.
        """
        values = [point] if isinstance(point, Tensor) else point
        if any(t.requires_grad for t in values):
            if self.no_derivatives:
                raise ValueError(self.no_derivatives)
        elif isinstance(point, Tensor):
            point = point.clone().requires_grad_(self.differentiates)
        with (
            self.isolated(seed),
            self.weights.substituted(point),
            self.normalised(self.batches),
        ):
            yield

    @contextmanager
    def isolated(self, seed: int = 0, fused: bool = False) -> Iterator[Callable[[], None]]:
        """While open, passes leave no trace; yields what lets the next pass start like the first.

        The model is in eval mode, or its batch norm in train mode where the policy is "batch".
        fused: allow kernels that have no second derivatives.

        Raises ValueError where the model has changed beside its weights.
        """
        self._held.check()
        with ExitStack() as stack:
            enter = stack.enter_context
            enter(gradients_on())
            enter(kept_modes(self.model))
            enter(self.precision.opened())
            enter(kept_module_state(self.model, self._state))
            renew_buffers = enter(isolated_buffers(self.model, self._buffers))
            enter(full_precision(self.device))
            enter(no_autocast())
            enter(no_cached_weights())
            reseed = enter(seeded_everywhere(seed_of(self.seed, seed), self.device))
            if not fused:
                enter(differentiable_kernels(self.model))
            set_eval(self.model)
            if self.policy == "batch":
                bn.use_batch_statistics(self.trained_norms)
            modes = modes_of(self.model)

            def renew() -> None:
                renew_buffers()
                set_modes(modes)
                reseed()

            yield renew

    def normalised(self, batches: Sequence[Batch]) -> AbstractContextManager[None]:
        """While open, re-estimated statistics are those of the batches where the model stands, and
        of those of the other ranks.
        """
        if self.policy != "reestimated":
            return nullcontext()
        norms, pooled = self.trained_norms, self.ranks.differentiable_sum
        over_ranks = pooled if norms and self.ranks.size > 1 else None
        return bn.normalising_with(bn.estimate(norms, self.batch_loss, batches, over_ranks))


def risk_of(
    model: nn.Module,
    batches: Iterable[Any],
    loss: LossFn,
    policy: str = "stored",
    seed: int = 0,
    parameters: str = "",
    group: Any = None,
    streamed: bool = False,
) -> EmpiricalRisk:
    """The risk of a model as it stands, without the checks of an objective.

    Raises ValueError for a model that is no module, and for a loss that takes no model.
    """
    if not isinstance(model, nn.Module):
        raise ValueError(f"`model` must be a torch.nn.Module. Got {type(model).__name__}.")
    if not callable(loss) or type(loss).__module__ == "torch.nn.modules.loss":
        raise ValueError(
            f"`loss` must be a function of the model and a batch. Got {type(loss).__name__}: "
            "lambda model, batch: criterion(model(batch.x), batch.y)."
        )
    model = getattr(model, "_orig_mod", model)  # of torch.compile: measures differentiate twice
    weights = Weights(model, parameters)
    ranks = ranks_of(group, weights.parameters[0].device)
    with ranks.guarded(), gradients_on():
        precision = Precision(model, weights.parameters)
        read = stored_batches if streamed else load_batches
        loaded = with_weight(read(batches, weights.parameters[0].device, seed))
        given = tuple(batch.changed(precision.batch) for batch in loaded)
        fractions = weight_fractions(given, ranks)
        return EmpiricalRisk(model, loss, given, fractions, weights, precision, policy, seed, ranks)
