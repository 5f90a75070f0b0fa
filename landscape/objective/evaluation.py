"""Loss and accuracy at many points: the model is opened once for all of them, and a faster pass
stands beside the plain one where the two are seen to agree.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from landscape.network.batch import Batch, Logits, correct, mapped
from landscape.network.linear_layer import answers_of
from landscape.objective.empirical_risk import EmpiricalRisk, Terms
from landscape.objective.fold_batch_norm import Chain, chains, folded
from landscape.utils.rng import seed_of

Answer = tuple[float, float]  # L, accuracy
AT_ONCE = 2**26  # bytes of points between two openings
TOLERANCE, FLOOR = 1e-5, 0.01  # the two plans may differ by TOLERANCE · max(L, FLOOR)
FLIPS = 2e-3  # and by rounding's share of answers


@dataclass(frozen=True)
class PassPlan:
    """Options of a forward pass: the batches with their weight fractions in some memory format,
    folded layers, and whether all points are written into one buffer or stand in tensors of their
    own. Views of another tensor cost as much as a layer.
    """

    terms: Terms
    chains: Sequence[Chain] = ()
    in_place: bool = True


class Evaluator:
    """(L, accuracy) at points of a risk, by a fast plan where there is one.

    logits: (model, batch) -> classes last; default the model's output.
    """

    def __init__(self, risk: EmpiricalRisk, logits: Logits | None = None):
        self.risk, self.logits = risk, logits
        self._planned: tuple[Terms, PassPlan] | None = None
        self._none = torch.zeros((), dtype=torch.int64, device=risk.device)

    def __call__(self, points: Sequence[Tensor]) -> list[Answer]:
        """Evaluate a few points: one pair for each."""
        return self._run(self.plan, points)

    def plainly(self, points: Sequence[Tensor]) -> list[Answer]:
        """The same without the fast plan."""
        return self._run(PassPlan(self.risk.terms, in_place=False), points)

    @property
    def plan(self) -> PassPlan:
        """The fast plan, where it agrees with the plain one at w and at a random point; chosen
        anew where batches were split.
        """
        if self._planned is None or self._planned[0] is not self.risk.terms:
            self._planned = self.risk.terms, self._choose()
        return self._planned[1]

    def _choose(self) -> PassPlan:
        if self.risk.differentiates:
            return PassPlan(self.risk.terms, in_place=False)
        points = [self.risk.w, elsewhere(self.risk)]
        expected = self.plainly(points)
        try:
            fast = _fast_plan(self.risk)
            answers = self._run(fast, points)
        except Exception:  # a model may refuse another memory format in words of its own
            return PassPlan(self.risk.terms, in_place=False)
        agreed = all(map(agree, answers, expected))
        return fast if agreed else PassPlan(self.risk.terms, in_place=False)

    def _run(self, plan: PassPlan, points: Sequence[Tensor]) -> list[Answer]:
        """(L, accuracy) at each of a few points; the device is waited for once.

        Every pass starts from the same buffers, modes and random numbers.
        """
        risk, rows = self.risk, []
        weights, place = risk.weights, risk.w.clone().requires_grad_(risk.differentiates)
        batches = [batch for batch, _ in plan.terms]
        with (
            risk.isolated(fused=plan.in_place) as renew,
            weights.substituted(weights.views(place)) as set_point,
            folded(plan.chains),
            answers_of(risk.model) as outputs,
        ):
            move = place.copy_ if plan.in_place else set_point
            for point in points:
                renew()
                moved = weights.checked(point.detach().to(place, copy=True))
                move(moved.requires_grad_(risk.differentiates))
                rows += self._rows(batches, outputs, renew)
        shape = (len(points), len(batches))
        losses, right, counted = (
            torch.stack(column).view(shape).cpu() for column in zip(*rows, strict=True)
        )
        fractions = torch.tensor([fraction for _, fraction in plan.terms], dtype=torch.float64)
        loss = losses.double() @ fractions
        accuracy = right.sum(1).double() / counted.sum(1)
        return list(zip(loss.tolist(), accuracy.tolist(), strict=True))

    def _rows(
        self, batches: Sequence[Batch], outputs: list[Any], renew: Callable[[], None]
    ) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Of each batch, where the model stands: loss, right answers, of how many.

        Where logits are given, a second pass over all batches starts like the first.
        """
        with self.risk.normalised(batches):
            rows = [self._ask(batch, outputs) for batch in batches]
        if self.logits is None:
            return rows
        renew()
        with self.risk.normalised(batches):
            counts = [self._counts(self.logits, batch) for batch in batches]
        return [(loss, *pair) for (loss, *_), pair in zip(rows, counts, strict=True)]

    def _ask(self, batch: Batch, outputs: list[Any]) -> tuple[Tensor, Tensor, Tensor]:
        """The loss of a batch, how many answers are right, of how many."""
        outputs.clear()
        loss = self.risk.batch_loss(batch)
        counts = correct(outputs[0], batch.y) if len(outputs) == 1 else None
        return loss.detach(), *(counts or (self._none, self._none))

    def _counts(self, logits: Logits, batch: Batch) -> tuple[Tensor, Tensor]:
        """How many of a batch's logits are right, of how many."""
        counts = correct(self.risk.answer(logits, batch), batch.y)
        return counts or (self._none, self._none)


def chunks(points: Iterable[Tensor], w: Tensor) -> Iterator[list[Tensor]]:
    """Group points of the size of `w` into chunks, for each of which the model is opened once.

    They are asked for between two openings, while the model stands as its user left it.
    """
    size = max(1, min(64, AT_ONCE // (w.numel() * w.element_size())))
    points = iter(points)
    while chunk := list(islice(points, size)):
        yield chunk


def _fast_plan(risk: EmpiricalRisk) -> PassPlan:
    """On the CPU with images in channels_last and stored batch norm folded."""
    terms = risk.terms
    if risk.device.type != "cpu":
        return PassPlan(terms)
    if any(isinstance(module, nn.Conv2d) for module in risk.model.modules()):
        terms = [(_in_channels_last(batch), fraction) for batch, fraction in terms]
    with risk.isolated():
        layers = chains(risk.model) if risk.policy == "stored" else []
    return PassPlan(terms, layers)


def elsewhere(risk: EmpiricalRisk) -> Tensor:
    """A random point: every weight moved by about a tenth of those of its tensor, and 0.01."""
    w = risk.w.clone()
    generator = torch.Generator().manual_seed(seed_of(risk.seed, "elsewhere"))
    for values in (w[s] for s in risk.weights.layers.values()):
        xi = torch.randn(values.shape, generator=generator, dtype=torch.float64).to(w)
        values += 0.1 * (values.square().mean().sqrt() + 0.1) * xi
    return w


def agree(answer: Answer, expected: Answer) -> bool:
    """Tell whether two plans' loss and accuracy are the same up to rounding. NaN is not."""
    off = abs(answer[0] - expected[0]) <= TOLERANCE * max(abs(expected[0]), FLOOR)
    flips = abs(answer[1] - expected[1])
    return off and (flips <= FLIPS or flips != flips)


def _in_channels_last(batch: Batch) -> Batch:
    def convert(t: Tensor) -> Tensor:
        if t.dim() != 4 or not t.is_floating_point():
            return t
        # One channel is channels_last already by its shape, but not by its strides.
        return torch.empty_like(t, memory_format=torch.channels_last).copy_(t)

    return replace(batch, x=mapped(batch.x, convert))
