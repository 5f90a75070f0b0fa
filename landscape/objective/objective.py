"""L(w), its gradient and its Hessian-vector product at any point, on fixed data."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from landscape.network import batch_norm as bn
from landscape.network.batch import Batch, Logits, LossFn, scalar
from landscape.network.higher_order import REENTRANT_REFUSAL, reentrant_checkpoints_heard
from landscape.network.isolation import (
    differentiable_kernels,
    full_precision,
    isolated_buffers,
    kept_modes,
    modes_of,
    set_modes,
    snapshot,
)
from landscape.network.parameter_block import Block
from landscape.network.precision import Precision, raised
from landscape.network.weights import Weights
from landscape.objective.curvature_products import Products, derivative, hessian, total
from landscape.objective.data import fingerprint_of, read, shares_of
from landscape.objective.evaluation import Evaluator, chunks
from landscape.objective.out_of_memory import Found, Room
from landscape.utils.rng import seed_of, seeded

__all__ = ["Batch", "Logits", "LossFn", "Objective", "Summary"]


@dataclass(frozen=True)
class Summary:
    """What stands beside every flatness number: the loss, ‖∇L(w)‖ and ‖w‖ at the point."""

    loss: float
    grad_norm: float
    w_norm: float


class Objective:
    """The mean loss over fixed batches as a function of one flat vector: L(w) = Σ_b share_b ·
    loss(model at w, batch_b).

    The model runs in eval mode and IEEE arithmetic, in float32 at least, and is left bit for bit as
    it was. `w` and the buffers are snapshots: training the model further does not move an
    objective. Where memory runs out, batches are split.

    model: any module; the parameters that require gradients are `w`.
    batches: `Batch`es, (x, y) pairs, or mappings (see `landscape.network.batch`), in a list
    or a loader; read once and kept on the model's device. Averaged by weight, that is by examples.
    loss: (model, batch) -> the mean over the batch, shape ().
    logits: (model, batch) -> classes last; default the model's output. Only accuracy needs it.
    batch_norm: what batch norm normalises with: "stored", "batch" or "reestimated",
    see `landscape.network.batch_norm`.
    seed: of the random numbers that a pass may draw; every pass draws the same.
    memory: bytes that kept gradient graphs of Hessian-vector products may take; beyond it they are
    rebuilt.

    Raises ValueError for no batches or batches without end, an unknown policy, parameters that are
    no real numbers, a loss that is no scalar, a model that answers differently twice; where a
    gradient is asked for, for reentrant activation checkpoints.
    """

    def __init__(
        self,
        model: nn.Module,
        batches: Iterable[Any],
        loss: LossFn,
        *,
        logits: Logits | None = None,
        batch_norm: str = "stored",
        seed: int = 0,
        memory: int = 2**30,
    ):
        if batch_norm not in bn.POLICIES:
            raise ValueError(
                f"`batch_norm` must be one of {', '.join(bn.POLICIES)}. Got {batch_norm!r}."
            )
        self.model, self.loss, self.logits = model, loss, logits
        self.batch_norm, self.seed, self.memory = batch_norm, seed, memory
        self.weights, self.precision = Weights(model), Precision(model)
        self.device = self.weights.parameters[0].device
        self.given = tuple(map(self.precision.batch, read(batches, self.device, seed)))
        self.batches: tuple[Batch, ...] = self.given  # until memory runs out
        self.shares = shares_of(self.batches)
        self._w = raised(self.weights.read())
        self._buffers = self.precision.buffers(snapshot(model))
        self._evaluator = Evaluator(self)
        self._room = Room(self)
        self._reentrant = False  # known after the first pass
        self._products = Products(hessian, Block.of(model, self.weights, None))
        self._refuse_two_answers()

    @property
    def w(self) -> Tensor:
        """The point at construction, (n,): a copy, the caller's own."""
        return self._w.clone()

    @property
    def layers(self) -> Mapping[str, slice]:
        """Parameter name -> slice of `w`."""
        return self.weights.layers

    @property
    def examples(self) -> int:
        """Number of examples in all batches."""
        return sum(b.size for b in self.given)

    @cached_property
    def fingerprint(self) -> str:
        """Of the data: the first 16 hexadecimal digits of its SHA-256."""
        return fingerprint_of(self.given)

    @cached_property
    def summary(self) -> Summary:
        """Loss, gradient norm and weight norm at `w`."""
        return Summary(self.value(), self.grad().norm().item(), self._w.norm().item())

    def value(self, at: Tensor | None = None) -> float:
        """L at a point (n,), default `w`."""

        def ask() -> float:
            with torch.no_grad(), self.opened(self._point(at)):
                return total(part.double() for part in self._parts()).item()

        return self.fitting(ask)

    def grad(self, at: Tensor | None = None) -> Tensor:
        """∇L at a point, shape (n,)."""
        leaf = self._point(at).clone().requires_grad_()

        def ask() -> Tensor:
            with self.opened(leaf):
                return self._gradient(leaf)

        return self.fitting(ask)

    def hvp(self, v: Tensor, at: Tensor | None = None) -> Tensor:
        """Hessian-vector product ∇²L·v at a point, by double backward; v (n,) or (n, k), and so is
        the answer.

        The gradient's graph is kept for further products at the same point while it fits `memory`,
        else it is rebuilt
        batch by batch.
        """
        n = self.weights.n
        if v.shape[:1] != (n,) or v.dim() > 2:
            raise ValueError(f"`v` must have shape ({n},) or ({n}, k). Got {tuple(v.shape)}.")
        if v.dim() == 2:
            return torch.stack([self.hvp(column, at) for column in v.unbind(1)], 1)
        return self._products(self, v, self._point(at))

    @property
    def keeps_graphs(self) -> bool | None:
        """Whether `hvp` keeps its graphs from one product to the next; None before the first."""
        return self._products.keeps

    def accuracy(self, at: Tensor | None = None) -> float:
        """Share of targets that the largest logit names, in [0, 1]; NaN where targets are no
        classes.
        """
        return self.value_and_accuracy(at)[1]

    def value_and_accuracy(self, at: Tensor | None = None) -> tuple[float, float]:
        """L and the accuracy, from one forward pass per batch (two where `logits` is given)."""
        return self.fitting(lambda: self._evaluator.by(self._evaluator.plain, [self._point(at)])[0])

    def evaluate(self, points: Iterable[Tensor]) -> list[tuple[float, float]]:
        """(L, accuracy) at each of many points (n,), faster than one by one.

        Differs from `value_and_accuracy` by rounding where a faster pass is known, see
        `landscape.objective.evaluation`.
        """
        return [
            found
            for some in chunks(points, self._w)
            for found in self.fitting(lambda some=some: self._evaluator(some))  # type: ignore[misc]
        ]

    def _point(self, at: Tensor | None) -> Tensor:
        return self._w if at is None else at.detach().to(self._w)

    @contextmanager
    def opened(self, point: Tensor | Sequence[Tensor], seed: int = 0) -> Iterator[None]:
        """While open, the model stands at a point (n,), isolated, normalising as the policy says.

        seed: tells passes apart that shall draw different random numbers.
        """
        with (
            self.isolated(seed),
            self.weights.substituted(point),
            self.normalised(self.batches),
        ):
            yield

    @contextmanager
    def isolated(self, seed: int = 0) -> Iterator[Callable[[], None]]:
        """While open, passes leave no trace; yields what lets the next pass start like the first.

        The model is in eval mode, or its batch norm in train mode where the policy is "batch".
        """
        with ExitStack() as stack:
            enter = stack.enter_context
            enter(kept_modes(self.model))
            enter(self.precision.opened())
            renew_buffers = enter(isolated_buffers(self.model, self._buffers))
            enter(full_precision(self.device))
            reseed = enter(seeded(seed_of(self.seed, seed), self.device))
            if torch.is_grad_enabled():
                if self._reentrant:
                    raise ValueError(REENTRANT_REFUSAL)
                enter(differentiable_kernels(self.model))
            self.model.eval()
            if self.batch_norm == "batch":
                bn.use_batch_statistics(self.model)
            modes = modes_of(self.model)

            def renew() -> None:
                renew_buffers()
                set_modes(modes)
                reseed()

            yield renew

    def normalised(self, batches: Sequence[Batch]) -> AbstractContextManager[None]:
        """While open, re-estimated statistics are those of the batches where the model stands."""
        if self.batch_norm != "reestimated":
            return nullcontext()
        return bn.normalising_with(bn.estimate(self.model, self._forward, batches))

    def fitting(self, ask: Callable[[], Found], *products: Products) -> Found:
        """ask(); and again where memory runs out, first without kept graphs, then with halved
        batches.

        products: what keeps graphs beside `hvp`.
        Raises ValueError where the batches cannot be split.
        """
        return self._room(ask, [self._products, *products])

    def regroup(self, batches: Sequence[Batch], shares: Sequence[float]) -> None:
        """Take the same examples in other batches, with their shares of the mean."""
        self.batches, self.shares = tuple(batches), list(shares)
        self._evaluator = Evaluator(self)

    def pieces(self, batch: Batch) -> list[Batch]:
        """A batch of one's own, in parts no larger than the objective's where those were split."""
        return self._room.pieces(batch)

    def _forward(self, batch: Batch) -> object:
        return self.loss(self.model, batch)

    def _parts(self) -> Iterator[Tensor]:
        """share_b · loss_b, one batch after the other."""
        for batch, share in zip(self.batches, self.shares, strict=True):
            yield share * scalar(self.loss(self.model, batch))

    def _gradient(self, leaf: Tensor) -> Tensor:
        """Batch by batch, so that memory does not grow with the data.

        Re-estimated statistics tie all batches into one graph.
        """
        if self.batch_norm == "reestimated":
            return derivative(sum(self._parts()), leaf, None)
        return total(derivative(part, leaf, None) for part in self._parts())

    def _refuse_two_answers(self) -> None:
        """Dropout left on, or any other source of randomness, would make every curvature wrong."""

        def answer(seed: int) -> Tensor:
            with torch.no_grad(), self.opened(self._w, seed):
                return next(self._parts())

        with reentrant_checkpoints_heard() as warned:
            one, other = self.fitting(lambda: (answer(1), answer(2)))
        self._reentrant = bool(warned)
        if not torch.isclose(one, other, rtol=1e-4, atol=0.0, equal_nan=True):
            raise ValueError(
                "The model answers differently twice on the same batch. "
                "Switch off what is random in it (dropout that ignores eval mode, sampling)."
            )
