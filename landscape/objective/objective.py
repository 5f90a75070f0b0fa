"""L(w), its gradient and its Hessian-vector product at any point, on fixed data."""

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from landscape.distributed.ranks import Alone
from landscape.network import batch_norm as bn
from landscape.network.batch import Batch, Logits, LossFn
from landscape.network.isolation import gradients_on, outside_inference
from landscape.network.parameter_block import Block
from landscape.network.score import score_of
from landscape.objective import first_pass
from landscape.objective.curvature_products import GradientGraph, Products, hessian
from landscape.objective.data import fingerprint_of
from landscape.objective.empirical_risk import EmpiricalRisk, risk_of
from landscape.objective.evaluation import Evaluator, chunks
from landscape.objective.finite_differences import refuse_dropped_terms
from landscape.objective.out_of_memory import Answer, OutOfMemoryRetry
from landscape.objective.point_passes import Point

__all__ = ["Batch", "Logits", "LossFn", "Objective", "Summary"]


@dataclass(frozen=True)
class Summary:
    """Loss, ‖∇L(w)‖ and ‖w‖ at the point, which accompany every flatness number."""

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
    batch_norm: what batch norm normalises with: "stored", "batch" or "reestimated", see
    `landscape.network.batch_norm`; default "stored", and "reestimated" between several minima.
    seed: of the random numbers that a pass may draw; every pass draws the same.
    memory: bytes that kept gradient graphs of Hessian-vector products may take; beyond it they are
    rebuilt, which costs time and changes nothing but rounding. Default: half of what is free on a
    CUDA device at the first product, a quarter on the CPU.
    parameters: a regular expression, "lora|head": `w` is the trainable parameters in whose name it
    is found, all others keep their values of now. Default: all that require gradients.
    group: of `torch.distributed`, as `torch.distributed.group.WORLD`: every rank holds the same
    model and batches of its own, and all make the same calls. Values and derivatives are then those
    of the union of all batches, on every rank.
    streamed: batches stay in host memory or on disk, and each pass reads them onto the device one
    by one, for data that do not fit; see `landscape.objective.streaming` for what can be read so.
    risk: the same function without retries, see `landscape.objective.empirical_risk`.

    Raises ValueError for no batches or batches without end, an unknown policy, parameters that are
    no real numbers, a loss that is no scalar, a model that answers differently twice, ranks with
    different models, a pattern that matches no parameter, two tensors in one memory; where a
    gradient is asked for, for reentrant activation checkpoints and for a loss whose gradient by
    torch is not its own; and where the model has changed beside `w` by then.

    Example: L(w) = (9 w₁² + w₂²)/2 at w = (1, 1).

    >>> import torch
    >>> import landscape as ls
    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> model.weight.data = torch.ones(1, 2)
    >>> batch = (torch.diag(torch.tensor([3.0, 1.0])), torch.zeros(2, 1))
    >>> mse = lambda model, batch: (model(batch.x) - batch.y).square().mean()
    >>> objective = ls.Objective(model, [batch], mse)
    >>> objective.value(), objective.grad(), objective.hvp(torch.tensor([1.0, 0.0]))
    (5.0, tensor([9., 1.]), tensor([9., 0.]))
    """

    def __init__(
        self,
        model: nn.Module,
        batches: Iterable[Any],
        loss: LossFn,
        *,
        logits: Logits | None = None,
        batch_norm: str | None = None,
        seed: int = 0,
        memory: int | None = None,
        parameters: str = "",
        group: Any = None,
        streamed: bool = False,
    ):
        if batch_norm is not None and batch_norm not in bn.POLICIES:
            raise ValueError(
                f"`batch_norm` must be one of {', '.join(bn.POLICIES)}. Got {batch_norm!r}."
            )
        policy = batch_norm or "stored"
        self.risk = risk_of(model, batches, loss, policy, seed, parameters, group, streamed)
        self.model, self.loss, self.logits = self.risk.model, loss, logits
        self.seed, self.memory, self.chosen_batch_norm = seed, memory, batch_norm
        self.weights, self.precision = self.risk.weights, self.risk.precision
        self.device, self.evaluated_in = self.risk.device, "ieee"
        self._delegate()
        self.retry_on_oom(lambda: first_pass.check(self.risk))

    def __repr__(self) -> str:
        name, n = type(self.model).__name__, self.weights.n
        return (
            f"Objective({name} with {n} weights, {self.examples} examples in "
            f"{len(self.given)} batches, batch norm {self.batch_norm}, on {self.device})"
        )

    def _delegate(self) -> None:
        """Hand on to the risk what is its own, and to its helpers what they do with it."""
        self.opened, self.isolated = self.risk.opened, self.risk.isolated
        self.normalised, self.regroup = self.risk.normalised, self.risk.regroup
        self.pieces = self.risk.pieces
        self._retry = OutOfMemoryRetry(self.risk)
        self._evaluator = Evaluator(self.risk, self.logits, self.evaluated_in)
        self._products = Products(hessian, Block.of(self.model, self.weights, None), self.memory)
        self._looks, self._compared = 0, False  # at graphs; with differences of the gradient

    @property
    def ranks(self) -> Alone:
        """The ranks that hold the data: one for a process without a group."""
        return self.risk.ranks

    def alone(self) -> "Objective":
        """The objective of this rank's batches, whose passes wait for no other rank."""
        return self._with(self.risk.alone()) if self.ranks.size > 1 else self

    def _with(self, risk: EmpiricalRisk) -> "Objective":
        other = copy.copy(self)
        vars(other).pop("summary", None)
        other.risk = risk
        other._delegate()
        return other

    @property
    def batch_norm(self) -> str:
        """The policy in force: "stored", "batch" or "reestimated"."""
        return self.risk.policy

    def between_minima(self) -> "Objective":
        """The objective for points between several minima, where statistics stored at one of them
        show barriers that are none: re-estimated where there is batch norm, unless a policy was
        chosen.
        """
        if self.chosen_batch_norm is not None:
            return self
        with gradients_on():
            first_pass.refuse_unknown_norms(self.risk)
        if not bn.layers(self.model):
            return self
        return self.under("reestimated")

    def on_batches(self, batches: Sequence[Batch]) -> "Objective":
        """The objective at the same point on other batches, such as some of its own rows."""
        other = self._with(self.risk.on_batches(batches))
        vars(other).pop("fingerprint", None)
        return other

    def under(self, policy: str) -> "Objective":
        """The same objective under another batch-norm policy."""
        return self._with(self.risk.under(policy))

    def evaluating_in(self, precision: str) -> "Objective":
        """The same objective, whose `evaluate` computes in "ieee", "tf32" or "bf16"; everything
        else stays in ieee.
        """
        other = copy.copy(self)
        other.evaluated_in = precision
        other._delegate()
        return other

    @property
    def w(self) -> Tensor:
        """The point at construction, (n,): a copy, the caller's own."""
        return self.risk.w.clone()

    @property
    def score(self) -> str:
        """Name of what `accuracy` holds: that, or the score that the loss names."""
        return score_of(self.loss).name

    @property
    def layers(self) -> Mapping[str, slice]:
        """Parameter name -> slice of `w`."""
        return self.weights.layers

    @property
    def given(self) -> tuple[Batch, ...]:
        """The batches as they came, on the model's device.

        Raises ValueError where ranks hold further ones, as `batches` and `shares` do.
        """
        self._refuse_ranks()
        return self.risk.given

    @property
    def batches(self) -> tuple[Batch, ...]:
        """The batches of a pass: smaller ones than `given` where memory ran out."""
        self._refuse_ranks()
        return self.risk.batches

    @property
    def shares(self) -> list[float]:
        """The weight fraction of each batch of a pass; they add up to 1."""
        self._refuse_ranks()
        return [fraction for _, fraction in self.risk.terms]

    def _refuse_ranks(self) -> None:
        if self.ranks.size > 1:
            raise ValueError(
                "With a `group` other ranks have further batches, so an answer from those of this "
                "one would be wrong. Take `objective.risk.terms`, add up by `objective.risk.total`."
            )

    @property
    def examples(self) -> int:
        """Number of examples in all batches, of all ranks."""
        return self.risk.examples

    @cached_property
    def fingerprint(self) -> str:
        """Fingerprint of the data: the first 16 hexadecimal digits of its SHA-256."""
        with self.ranks.guarded():
            return fingerprint_of(self.risk.given, self.ranks)

    @cached_property
    def summary(self) -> Summary:
        """Loss, gradient norm and weight norm at `w`."""
        self.summarised_grad()
        return self.summary

    def summarised_grad(self) -> Tensor:
        """∇L at `w` (n,), from a pass that gives `summary`, too."""
        value, gradient = self.retry_on_oom(lambda: self.risk.value_and_gradient(self.risk.w))
        self.summary = Summary(value, gradient.norm().item(), self.risk.w.norm().item())
        return gradient

    def value(self, at: Tensor | None = None) -> float:
        """L at a point (n,), default `w`."""
        return self.retry_on_oom(lambda: self.risk.value(self._point(at)))

    def grad(self, at: Tensor | None = None) -> Tensor:
        """∇L at a point, shape (n,)."""
        return self.retry_on_oom(lambda: self.risk.gradient(self._point(at)))

    def hvp(self, v: Tensor, at: Tensor | None = None) -> Tensor:
        """Hessian-vector product ∇²L·v at a point, by double backward; v (n,) or (n, k), and so is
        the answer.

        The gradient's graph is kept for further products at the same point while it fits `memory`,
        else it is rebuilt batch by batch.

        Raises ValueError for an operation without a second derivative, and for an autograd.Function
        whose backward leaves torch's operations: products are then held against differences of the
        gradient, once.
        """
        n = self.weights.n
        if not isinstance(v, Tensor):
            raise ValueError(f"`v` must be a tensor. Got {type(v).__name__}: torch.as_tensor(v).")
        if v.shape[:1] != (n,) or v.dim() > 2:
            raise ValueError(f"`v` must have shape ({n},) or ({n}, k). Got {tuple(v.shape)}.")
        if v.dim() == 2:
            return torch.stack([self.hvp(column, at) for column in v.unbind(1)], 1)
        product = self.double_backward(v, at)
        if self._looks != self._products.looks:
            if not self._compared and self.ranks.any(self._products.has_custom_functions):
                block = self._products.block
                refuse_dropped_terms(self.double_backward, self.grad, block, self._point(at))
                self._compared = True
            self._looks = self._products.looks
        return product

    def double_backward(self, v: Tensor, at: Tensor | None = None) -> Tensor:
        """`hvp` with one vector (n,), without a look for terms that double backward drops."""
        return self.retry_on_oom(
            lambda: self._products(self.risk, outside_inference(v), self._point(at))
        )

    @property
    def keeps_graphs(self) -> bool | None:
        """Test whether `hvp` keeps its graphs between products; None before the first."""
        return self._products.keeps

    @property
    def kept_graphs(self) -> list[GradientGraph]:
        """The graphs that `hvp` keeps, one for each group of batches of this rank."""
        return self._products.kept_graphs

    def accuracy(self, at: Tensor | None = None) -> float:
        """Share of targets that the largest logit names, in [0, 1]; NaN where targets are no
        classes.
        """
        return self.value_and_accuracy(at)[1]

    def value_and_accuracy(self, at: Tensor | None = None) -> tuple[float, float]:
        """L and the accuracy, from one forward pass per batch (two where `logits` is given)."""
        return self.retry_on_oom(lambda: self._evaluator.plainly([self._point(at)])[0])

    def evaluate(
        self, points: Iterable[Point], *, expected: int | None = None
    ) -> list[tuple[float, float]]:
        """(L, accuracy) at each of many points, faster than one by one.

        Differs from `value_and_accuracy` by rounding where a faster pass is known, see
        `landscape.objective.evaluation`.

        points: tensors (n,), or functions that write a point into the tensor (n,) they are given,
        `lambda out: torch.add(w, d, alpha=t, out=out)`: points of large networks cost a pass of
        their own to allocate.
        expected: number of points of the whole question, where they come in several calls. For
        few, a faster pass is not looked for. Default: many.
        """
        return [
            answer
            for chunk in chunks(points, self.risk.w)
            for answer in self.retry_on_oom(
                lambda chunk=chunk: self._evaluator(chunk, expected)  # type: ignore[misc]
            )
        ]

    def way(self, expected: int | None = None) -> str:
        """Name the pass by which `evaluate` takes so many points, default many."""
        return self.retry_on_oom(lambda: str(self._evaluator.plan_for(expected)))

    def take_way(self, way: str) -> None:
        """Evaluate by the pass that another process chose, named by its `way`.

        Raises ValueError where there is no such pass here, or it does not agree with the plain one.
        """
        self.retry_on_oom(lambda: self._evaluator.take(way))

    def retry_on_oom(self, ask: Callable[[], Answer], *products: Products) -> Answer:
        """ask(); and again where memory runs out, first without kept graphs, then with halved
        batches.

        products: what keeps graphs beside `hvp`.
        Raises ValueError where the batches cannot be split.
        """
        return self._retry(ask, [self._products, *products])

    def _point(self, at: Tensor | None) -> Tensor:
        if at is None:
            return self.risk.w
        if not isinstance(at, Tensor):
            raise ValueError(
                f"A point must be a tensor (n,). Got {type(at).__name__}: torch.as_tensor(point)."
            )
        return outside_inference(at.detach().to(self.risk.w))
