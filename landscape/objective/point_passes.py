"""Passes of an open model at one point after the other, each from the same start."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from landscape.network.batch import Batch, Logits, class_logits, scalar
from landscape.network.linear_layer import answers_of
from landscape.network.precision import arithmetic
from landscape.network.score import score_of
from landscape.objective.empirical_risk import EmpiricalRisk
from landscape.objective.pass_plan import PassPlan
from landscape.objective.streaming import StoredBatch
from landscape.objective.unmoved import Unmoved

# A point (n,), or what writes it into the tensor (n,) that it is given.
Point = Tensor | Callable[[Tensor], object]
Row = tuple[Tensor, Tensor, Tensor]  # of a batch: loss, counts of its score: right, of how many


class StateMoved(Exception):
    """A pass left something behind that the next one would start from."""


class PointPasses:
    """The passes of one opening of a model.

    renewing: every pass is given new copies of state, random numbers and data. Otherwise there is
    one copy for all, and `check` tells whether they started alike all the same: it runs after the
    first, too, so that what flips to and fro is seen.
    """

    def __init__(
        self,
        risk: EmpiricalRisk,
        logits: Logits | None,
        plan: PassPlan,
        renewing: bool,
        renew: Callable[[], None],
        outputs: list[Any],
    ):
        self.risk, self.logits, self.renew, self.outputs = risk, logits, renew, outputs
        given = [batch for batch, _ in plan.terms]
        self.batches = given if renewing else [batch.copy() for batch in given]
        self._start = None if renewing else Unmoved(risk, given, self.batches)
        self._is_checked = False
        self._none = torch.zeros((), dtype=torch.int64, device=risk.device)
        self._score = score_of(risk.loss)
        self._targets: dict[tuple[int, int], Tensor] = {}

    def check(self) -> None:
        """Raise StateMoved where the next pass would not start as the first did."""
        if self._start is not None and not self._start.holds():
            raise StateMoved

    def rows(self) -> list[Row]:
        """Answer a row for each batch, where the model stands.

        Where logits are given, a second pass over all batches starts like the first.
        """
        rows = self._over_batches(self._ask)
        if not self._is_checked:
            self.check()
            self._is_checked = True
        if self.logits is None:
            return rows
        if self._start is None:
            self.renew()
        counts = self._over_batches(self._ask_logits)
        return [
            (loss, right, count)
            for (loss, _, _), (_, right, count) in zip(rows, counts, strict=True)
        ]

    def _over_batches(self, ask: Callable[[int, Batch], Row]) -> list[Row]:
        with self.risk.normalised(self.batches):
            return [ask(i, _read(batch)) for i, batch in enumerate(self.batches)]

    def _ask(self, i: int, batch: Batch) -> Row:
        self.outputs.clear()
        loss = scalar(self._answer(self.risk.loss, batch)).detach()
        only = self.outputs[0] if len(self.outputs) == 1 else None
        return loss, *self._counts(i, only, batch.y)

    def _ask_logits(self, i: int, batch: Batch) -> Row:
        assert self.logits is not None
        return self._none, *self._counts(i, self._answer(self.logits, batch), batch.y)

    def _answer(self, ask: Callable[[nn.Module, Batch], Tensor], batch: Batch) -> Tensor:
        return self.risk.answer(ask, batch) if self._start is None else ask(self.risk.model, batch)

    def _counts(self, i: int, answer: Any, y: Any) -> tuple[Tensor, Tensor]:
        """Count the right answers to batch i, and all of them."""
        logits = class_logits(answer, y)
        if logits is None:
            return self._none, self._none
        key = i, logits.shape[-1]
        if key not in self._targets:
            self._targets[key] = self._score.targets(y, logits.shape[-1])
        return self._score.counts(logits, y, self._targets[key])


def _read(batch: Batch) -> Batch:
    """The batch, in memory: one that is streamed would be read for its inputs and its targets."""
    return batch.load() if isinstance(batch, StoredBatch) else batch


@contextmanager
def opened(
    risk: EmpiricalRisk, logits: Logits | None, plan: PassPlan, renewing: bool
) -> Iterator[tuple[PointPasses, Callable[[Point], None]]]:
    """While open, the model computes by a plan; yields its passes, and what takes it to a point."""
    weights, place = risk.weights, torch.empty_like(risk.w)
    with (
        arithmetic(plan.precision),
        risk.isolated(fused=plan.in_place) as renew,
        weights.substituted(weights.views(place)) as substitute,
        plan.opened(),
        answers_of(risk.model) as outputs,
    ):
        passes = PointPasses(risk, logits, plan, renewing, renew, outputs)

        def move(point: Point) -> None:
            if renewing:
                renew()
            if plan.in_place:
                _write(point, place)
                return
            leaf = torch.empty_like(place) if risk.differentiates else place
            _write(point, leaf)
            substitute(leaf.requires_grad_(risk.differentiates))

        def _write(point: Point, where: Tensor) -> None:
            if isinstance(point, Tensor):
                where.copy_(weights.checked(point.detach()))
            else:
                point(where)

        yield passes, move
