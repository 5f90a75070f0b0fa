"""Critical sharpness: the step along an update at which the loss stops falling.

Kalra et al., arXiv 2601.16979.
"""

import copy
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from landscape.measures.context import Progress, shows_progress, signature
from landscape.measures.curvature.operator import operator
from landscape.measures.space.sampling_error import group_losses, stderr_over_groups
from landscape.objective.objective import Objective
from landscape.records import CriticalSharpnessRecord
from landscape.utils import checks

MOST = 100  # doublings of the step
LOW = 1e-4  # first step where the curvature says nothing
ULPS = 8  # differences below so many units in the last place of the loss say nothing


@dataclass(frozen=True)
class CriticalSharpness:
    """λ_c = 2/η_c, η_c the smallest step η > 0 with L(w − ηΔ) > L(w), by a few forward passes.

    On a quadratic loss λ_c is the directional sharpness ΔᵀHΔ/Δᵀg, which the record holds beside it
    (one curvature product); with Δ = g that is a mean of eigenvalues and at most λ_max. It speaks
    of the update's direction, not of the sharpest one.

    direction: the update Δ (n,) at step size 1, as `update_direction` reads it from an optimizer;
    default the gradient, at a finished minimum.
    start: first step η; it is doubled until the loss has risen, and halved only where the loss has
    risen at the first look. From a start beyond the first crossing a later one would be found.
    Default: a sixteenth of the crossing of a quadratic loss, 2/(ΔᵀHΔ/Δᵀg), or 1e-4 where that is
    not positive.
    tolerance: width of the final bracket, relative to its upper end.

    The record's low and high are the bracket's; its stderr is over the choice of examples at this
    Δ, from the losses of 32 groups at the bracket's ends.
    Cost: about 11 forward passes, three for the error, and about 15 gradients' worth for the
    directional sharpness with the checks of its product.
    Raises ValueError for settings out of range, for an update that does not descend (Δᵀg ≤ 0), and
    where the loss does not rise along it, or differs from L(w) by rounding alone.

    Example: L(w) = (9 w₁² + w₂²)/2 at w = (1, 0): the gradient points along w₁.

    >>> import torch
    >>> import landscape as ls
    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> model.weight.data = torch.tensor([[1.0, 0.0]])
    >>> batch = ls.Batch(torch.diag(torch.tensor([3.0, 1.0])), torch.zeros(2, 1))
    >>> mse = lambda model, batch: (model(batch.x) - batch.y).square().mean()
    >>> record = ls.measures.CriticalSharpness()(ls.Objective(model, [batch], mse))
    >>> record.low < record.directional <= record.high
    True
    """

    direction: Tensor | None = None
    start: float | None = None
    tolerance: float = 1 / 16

    def __post_init__(self) -> None:
        checks.typed(self)
        if self.start is not None:
            checks.positive(start=self.start)
        if not 0 < self.tolerance < 1:
            raise ValueError(f"`tolerance` must be between 0 and 1. Got {self.tolerance}.")

    @shows_progress
    def __call__(
        self, objective: Objective, *, progress: Progress | None = None
    ) -> CriticalSharpnessRecord:
        """Search from the objective's point; `progress` counts losses, up to a limit."""
        w, g = objective.w, objective.grad()
        delta = g if self.direction is None else self.direction.detach().to(w)
        if delta.shape != w.shape:
            raise ValueError(f"`direction` must have shape {tuple(w.shape)}, as w. Got "
                             f"{tuple(delta.shape)}.")  # fmt: skip
        slope = float(delta.double() @ g.double())
        if not slope > 0:
            raise ValueError(
                f"The update does not descend: Δᵀg = {slope:.2g}, which must be positive. Is the "
                "gradient zero, or the direction given with the wrong sign?"
            )
        curved = float(operator(objective).matvec(delta).double() @ delta.double()) / slope
        line = _Line(objective, delta, progress)
        first = self.start or (1 / (8 * curved) if curved > 0 else LOW)
        low, high = line.bisected(*line.bracket(first), self.tolerance)
        if progress is not None:
            progress(MOST, MOST)
        return CriticalSharpnessRecord(
            value=4 / (low + high),
            low=2 / high,
            high=2 / low,
            stderr=line.stderr(low, high),
            directional=curved,
            slope=slope,
            looks=line.looks,
            direction="gradient" if self.direction is None else "given",
            **signature(self, objective),
        )


class _Line:
    """L(w − ηΔ) over the step η. A loss that is not finite has risen."""

    def __init__(self, objective: Objective, delta: Tensor, progress: Progress | None):
        self.objective, self.delta, self.progress = objective, delta, progress
        self.here, self.looks = objective.value(), 0
        self.rounding = ULPS * torch.finfo(delta.dtype).eps * abs(self.here)

    def rises(self, eta: float) -> float:
        """L(w − ηΔ) − L(w), infinite where it is not finite."""
        self.looks += 1
        if self.progress is not None:
            self.progress(min(self.looks, MOST), MOST)
        value = self.objective.value(self.objective.w - eta * self.delta)
        return value - self.here if math.isfinite(value) else math.inf

    def bracket(self, eta: float) -> tuple[float, float]:
        """Steps η and 2η, between which the loss begins to lie above L(w).

        Raises ValueError where there are none within 100 doublings or halvings, and where the loss
        has fallen by rounding alone.
        """
        rise = self.rises(eta)
        factor = 0.5 if rise > self.rounding else 2.0
        fall = -rise
        for _ in range(MOST):
            rise = self.rises(factor * eta)
            fall = max(fall, -rise)
            if (rise > self.rounding) == (factor > 1):
                break
            eta *= factor
        else:
            raise ValueError(
                f"The loss did not {'rise' if factor > 1 else 'fall'} along the update in {MOST} "
                "changes of the step by a factor of 2: there is no critical step."
            )
        if fall <= self.rounding:
            raise ValueError(
                f"The loss falls along the update by rounding alone ({fall:.1g} of {self.here:.2g})"
                ": the point is too near a minimum. Evaluate the model in float64."
            )
        return min(eta, factor * eta), max(eta, factor * eta)

    def bisected(self, low: float, high: float, tolerance: float) -> tuple[float, float]:
        """The bracket, narrowed until 1 − low/high ≤ tolerance."""
        while 1 - low / high > tolerance:
            middle = (low + high) / 2
            low, high = (low, middle) if self.rises(middle) > 0 else (middle, high)
        return low, high

    def stderr(self, low: float, high: float) -> float:
        """Standard error of λ_c over the examples, where the rise crosses zero; NaN if unknown.

        With the rise D of all and D_g of each group of examples: stderr(η_c) = stderr(D)/|D'|.
        """
        w = self.objective.w
        found = [group_losses(self.objective, w - eta * self.delta) for eta in (0.0, low, high)]
        if any(one is None or not bool(one[0].isfinite().all()) for one in found):
            return math.nan
        (at_w, shares), (before, _), (after, _) = (one for one in found if one is not None)
        steepness = float(shares @ (after - before)) / (high - low)
        if not steepness > 0:
            return math.nan
        eta = (low + high) / 2
        rises = (before + after) / 2 - at_w
        return stderr_over_groups(rises, shares) / steepness * 2 / eta**2


def update_direction(optimizer: torch.optim.Optimizer, objective: Objective) -> Tensor:
    """Read the step Δ that an optimizer would take next, per unit of step size, (n,) as w.

    The optimizer is stepped once on copies of its parameters, with its state, their gradients, step
    size 1 and no weight decay: of AdamW m̂/(√v̂ + ε), of SGD the momentum buffer, each after taking
    in the gradient. Parameters, gradients and state stay as they are. Call it before `step()`, with
    gradients in place; parameters without one do not move, nor do those that it does not hold.

    objective: of the model that the optimizer trains; Δ has the order of its w, whatever the
    optimizer's groups.
    Raises ValueError where no parameter has a gradient, for an optimizer of another model, and for
    one whose step asks for a closure.
    """
    held = [p for group in optimizer.param_groups for p in group["params"]]
    if all(p.grad is None for p in held):
        raise ValueError("No parameter has a gradient: call backward() first.")
    steps = dict(zip(map(id, held), _steps(optimizer, held), strict=True))
    named = dict(objective.model.named_parameters())
    moved = [named[name] for name in objective.weights.shapes]
    if not any(id(p) in steps for p in moved):
        raise ValueError("The optimizer holds no parameter of the objective's w: is it of a copy?")
    return torch.cat([steps.get(id(p), torch.zeros_like(p)).detach().flatten() for p in moved])


def _steps(optimizer: torch.optim.Optimizer, held: list[Tensor]) -> list[Tensor]:
    """The step of each parameter. From 0 it has no rounding, and it is the same one for optimizers
    that do not look at the parameter itself.
    """
    at_w, at_zero = (_stepped(optimizer, held, factor) for factor in (1.0, 0.0))
    return [
        exact if bool(((rounded - exact).abs() <= 4 * torch.finfo(p.dtype).eps
                       * (p.detach().abs() + exact.abs())).all()) else rounded
        for p, rounded, exact in zip(held, at_w, at_zero, strict=True)
    ]  # fmt: skip


def _stepped(optimizer: torch.optim.Optimizer, held: list[Tensor], factor: float) -> list[Tensor]:
    """The step of each parameter from `factor` times where it stands."""
    twin = copy.deepcopy(optimizer)
    for group in twin.param_groups:
        group["lr"] = torch.ones_like(group["lr"]) if isinstance(group["lr"], Tensor) else 1.0
        group["weight_decay"] = 0.0
    copies = [p for group in twin.param_groups for p in group["params"]]
    for mine, original in zip(copies, held, strict=True):
        mine.data.mul_(factor)
        mine.grad = None if original.grad is None else original.grad.clone()
    before = [p.detach().clone() for p in copies]
    try:
        twin.step()
    except TypeError:
        raise ValueError(
            f"The step of {type(optimizer).__name__} asks for a closure: it has no direction that "
            "could be read."
        ) from None
    return [p - q.detach() for p, q in zip(before, copies, strict=True)]
