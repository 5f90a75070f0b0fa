"""Loss and score at many points: the model is opened once for all of them, and the fastest pass
is taken that is seen to agree with the plain one.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, pairwise

import torch
from torch import Tensor

from landscape.network.batch import Logits
from landscape.objective.empirical_risk import EmpiricalRisk, Terms
from landscape.objective.pass_plan import (
    Answer,
    PassPlan,
    agree,
    elsewhere,
    fast_plans,
    plain_plan,
)
from landscape.objective.point_passes import Point, Row, StateMoved, opened

AT_ONCE = 2**26  # bytes of points between two openings
TENSORS, POINTS = 64, 1024  # and how many of them, at most
FEW = 16  # points for which no plan is chosen: that costs 4 to 14 passes
GAIN = 0.9  # a plan has to take less than this share of a simpler one's time
SHORT = 3e-3  # seconds of a pass for which nothing faster is looked for: times are noise there
LONG = 2e-2  # seconds of a pass that is timed only once


class Evaluator:
    """(L, accuracy) at points of a risk, by a fast plan where there is one.

    logits: (model, batch) -> classes last; default the model's output. precision: the arithmetic of
    all plans but the one of `plainly`.
    """

    def __init__(self, risk: EmpiricalRisk, logits: Logits | None = None, precision: str = "ieee"):
        self.risk, self.logits, self.precision = risk, logits, precision
        self._planned: tuple[Terms, PassPlan] | None = None
        self._moves = (
            bool(risk.trained_norms) or risk.is_streamed
        )  # passes move what they start from

    def __call__(self, points: Sequence[Point], expected: int | None = None) -> list[Answer]:
        """Evaluate a few points: one pair for each.

        expected: how many will be asked for in all, default many. For few no plan is chosen.
        """
        return self._answers(self.plan_for(expected), points)

    def plainly(self, points: Sequence[Point]) -> list[Answer]:
        """The same without a fast plan, in ieee arithmetic."""
        return self._answers(plain_plan(self.risk), points)

    def _answers(self, plan: PassPlan, points: Sequence[Point]) -> list[Answer]:
        """The means over the batches of all ranks."""
        ranks = self.risk.ranks
        if ranks.size > 1:
            ranks.note(*(_written(point, self.risk.w) for point in points))
        return _means(ranks.sum(self._run(plan, points)[0]))

    def plan_for(self, expected: int | None) -> PassPlan:
        """The plan of so many points."""
        few = expected is not None and expected < FEW
        return self._simplest if few and not self._is_planned else self.plan

    @property
    def plan(self) -> PassPlan:
        """The fastest plan that agrees with the plain one at w and at a random point, on all ranks;
        chosen anew where batches were split.
        """
        if self._planned is None or not self.risk.ranks.all(self._is_planned):
            self._planned = self.risk.terms, self._choose()
        return self._planned[1]

    def take(self, way: str) -> None:
        """Choose a plan by its name, as another process has timed it.

        Raises ValueError where there is none, or it does not agree with the plain one here.
        """
        faster = fast_plans(self.risk, self.precision)
        plans = [self._simplest, *chain.from_iterable(faster)]
        plan = next((plan for plan in plans if str(plan) == way), None)
        points = [self.risk.w, elsewhere(self.risk)]
        if plan is None or (
            plan is not plans[0]
            and not self._agree(self._answers(plan, points), self._answers(plans[0], points))
        ):
            raise ValueError(f"The pass {way!r} of another process is none here.")
        self._planned = self.risk.terms, plan

    @property
    def _is_planned(self) -> bool:
        return self._planned is not None and self._planned[0] is self.risk.terms

    @property
    def _simplest(self) -> PassPlan:
        return plain_plan(self.risk, self.precision)

    def _agree(self, answers: Sequence[Answer], expected: Sequence[Answer]) -> bool:
        pairs = zip(answers, expected, strict=True)
        return all(agree(answer, right, self.precision) for answer, right in pairs)

    def _choose(self) -> PassPlan:
        chosen, least = self._simplest, float("inf")
        ranks = self.risk.ranks
        meets = bool(self.risk.trained_norms) and self.risk.policy == "reestimated"
        waits = meets and ranks.size > 1  # passes wait for other ranks
        if self.risk.differentiates or waits or self.risk.is_streamed:  # a fast plan keeps the data
            return chosen
        points = [self.risk.w, elsewhere(self.risk)]
        expected = _means(self._run(chosen, points)[0])
        for plans in fast_plans(self.risk, self.precision):
            for plan in plans:
                seconds = max(ranks.gather(self._seconds(plan, points, expected)))
                if seconds < GAIN * least:
                    chosen, least = plan, seconds
                if least < SHORT:
                    return chosen
            if chosen.in_place:
                break
        return chosen

    def _seconds(
        self, plan: PassPlan, points: Sequence[Tensor], expected: Sequence[Answer]
    ) -> float:
        """CPU seconds of a pass of a plan; infinite where it does not agree."""
        try:
            sums, seconds = self._run(plan, points)
            if not self._agree(_means(sums), expected):
                return float("inf")
            if seconds[-1] < LONG:
                seconds += self._run(plan, [points[-1]] * 2)[1]
        except Exception:  # a model may refuse another memory format in words of its own
            return float("inf")
        return min(seconds[1:])

    def _run(self, plan: PassPlan, points: Sequence[Point]) -> tuple[Tensor, list[float]]:
        """Sums over this rank's batches at each of a few points, (points, 3): of losses by weight,
        right answers, answers; and the CPU seconds of each pass.

        Every pass starts from the same buffers, modes, random numbers and data: these are renewed
        before each, or, copied once for all passes, are seen not to have moved.
        """
        if not self._moves and len(points) > 1:
            try:
                return self._passes(plan, points, renewing=False)
            except StateMoved:
                self._moves = True
        return self._passes(plan, points, renewing=True)

    def _passes(
        self, plan: PassPlan, points: Sequence[Point], renewing: bool
    ) -> tuple[Tensor, list[float]]:
        """All passes in one opening. Raises StateMoved where they are not renewed and had to be."""
        rows: list[list[Row]] = []
        clock = [time.process_time()]
        with opened(self.risk, self.logits, plan, renewing) as (passes, move):
            try:
                for point in points:
                    move(point)
                    rows.append(passes.rows())
                    clock.append(time.process_time())
            except Exception:  # as a model may raise where its state has moved
                passes.check()
                raise
            passes.check()
        return _sums(plan, rows), [b - a for a, b in pairwise(clock)]


def _sums(plan: PassPlan, rows: Sequence[Sequence[Row]]) -> Tensor:
    """The sums over batches, float64 on the CPU; the device is waited for once."""
    columns = zip(*(row for of_point in rows for row in of_point), strict=True)
    losses, right, counts = (
        torch.stack(c).view(len(rows), len(plan.terms), -1).cpu() for c in columns
    )
    fractions = torch.tensor([fraction for _, fraction in plan.terms], dtype=torch.float64)
    mean_losses = losses.squeeze(-1).double() @ fractions
    return torch.cat([mean_losses[:, None], right.sum(1).double(), counts.sum(1).double()], 1)


def _means(sums: Tensor) -> list[Answer]:
    """Loss and score of each row, (points, 1 + 2 classes)."""
    losses, right, counts = sums.split([1, sums.shape[1] // 2, sums.shape[1] // 2], 1)
    scores = (right / counts).nanmean(1)
    return list(zip(losses[:, 0].tolist(), scores.tolist(), strict=True))


def _written(point: Point, like: Tensor) -> Tensor:
    if isinstance(point, Tensor):
        return point.to(like)
    place = torch.empty_like(like)
    point(place)
    return place


def chunks(points: Iterable[Point], w: Tensor) -> Iterator[list[Point]]:
    """Group points of the size of `w` into chunks, for each of which the model is opened once.

    They are asked for between two openings, while the model stands as its user left it.
    """
    tensors = max(1, min(TENSORS, AT_ONCE // (w.numel() * w.element_size())))
    chunk: list[Point] = []
    held = 0
    for point in points:
        chunk.append(point)
        held += isinstance(point, Tensor)
        if held == tensors or len(chunk) == POINTS:
            yield chunk
            chunk, held = [], 0
    if chunk:
        yield chunk
