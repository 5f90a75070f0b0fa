"""Sharpness over training: what the curvature of the loss does while a method goes its way.

Under gradient descent λ_max rises until it meets 2/η and hovers there, the edge of stability:
Cohen, Kaur, Li, Kolter, Talwalkar, ICLR 2021 (arXiv 2103.00065).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from landscape.data import batches
from landscape.data.dataset import subset
from landscape.measures import Eigenvalues, Trace, point_of
from landscape.methods import LETS, ascent
from landscape.methods.lookbehind import Lookbehind
from landscape.methods.multistep import MultistepSAM
from landscape.methods.walker.walker import Walker
from landscape.network import batch_norm as bn
from landscape.network.batch import Batch, LossFn
from landscape.network.isolation import full_precision, kept_modes
from landscape.network.modes import set_eval
from landscape.objective.objective import Objective, Summary
from landscape.tasks.registry import Task
from landscape.training.settings import Settings

LARGEST = Eigenvalues(k=2, which="largest", tolerance=1e-3)  # the second one guards the first
TRACE = Trace(tolerance=0.1, max_hvps=40)
ASKED = ("lambda_max", "lambda_bound", "trace", "trace_stderr", "ascent_gain")
NOT_FINITE = dict.fromkeys(ASKED, math.nan)


@dataclass(frozen=True)
class SharpnessMonitor:
    """Looks at a network in training, on fixed examples, and leaves no trace.

    method, optimizer: what moves the network. every: steps from one look to the next. pieces: the
    examples, cut as memory allows; steps: the same, cut as steps of training see them. batch_norm:
    "stored" or "batch".

    Each look starts its Lanczos anew: the last eigenvector as a start saves 0 to 4 of 8 products,
    and could miss an eigenvalue that has overtaken it.
    """

    model: nn.Module
    loss: LossFn
    method: Any
    optimizer: torch.optim.Optimizer
    every: int
    pieces: Sequence[Batch]
    steps: Sequence[Batch]
    batch_norm: str = "stored"

    def __call__(self, lr: float) -> dict[str, float]:
        """Measure one row at the current point; lr: that of the step to come.

        Where the loss or its derivatives are not finite, λ_max, trace and gain are NaN; where the
        weights are not, all is.
        """
        row = {"learning_rate": lr, "threshold": threshold(self.optimizer, lr)}
        if not all(bool(p.isfinite().all()) for p in self.model.parameters()):
            return row | dict.fromkeys(Summary.__dataclass_fields__, math.nan) | NOT_FINITE
        objective = Objective(self.model, self.pieces, self.loss, batch_norm=self.batch_norm)
        return row | vars(objective.summary) | self._curvature(objective)

    def where(self) -> dict[str, Any]:
        """Describe the examples that are measured, for a record's point."""
        objective = Objective(self.model, self.pieces, self.loss, batch_norm=self.batch_norm)
        point = vars(point_of(objective, "train"))
        return {name: value for name, value in point.items() if name not in vars(objective.summary)}

    def _curvature(self, objective: Objective) -> dict[str, float]:
        if not math.isfinite(objective.summary.loss + objective.summary.grad_norm):
            return NOT_FINITE
        try:
            found, trace = LARGEST(objective), TRACE(objective)
        except ValueError:  # products that are not finite, or lost in rounding: training goes on
            return NOT_FINITE
        return {
            "lambda_max": float(found.values[0]),
            "lambda_bound": float(found.bounds[0]),
            "trace": trace.value,
            "trace_stderr": trace.stderr,
            "ascent_gain": ascent_gain(
                self.model, self.loss, self.method, self.steps, self.batch_norm
            ),
        }


def sharpness_monitor(
    settings: Settings,
    task: Task,
    train: Batch,
    size: int,
    model: nn.Module,
    method: Any,
    optimizer: torch.optim.Optimizer,
) -> SharpnessMonitor | None:
    """Build the monitor; None without `training.measure_every`. size: of a step's batch."""
    t = settings.training
    if not t.measure_every:
        return None
    examples = subset(train, t.measure_examples)
    pieces = task.pieces(train, t.measure_examples, settings.data.batch_size)
    steps = list(batches(examples, min(size, examples.size), drop_last=True))
    return SharpnessMonitor(
        model, task.plain_loss, method, optimizer, t.measure_every, pieces, steps,
        t.measure_batch_norm,
    )  # fmt: skip


def threshold(optimizer: torch.optim.Optimizer, lr: float) -> float:
    """The λ above which steps of the base optimizer along that eigenvector of a quadratic grow.

    c/η less the weight decay, which adds to the curvature: c = 2 for gradient descent, 2 + 2β for
    heavy ball, (2 + 2β)/(1 + 2β) for Nesterov (Cohen et al. 2021). It
    knows of plain gradients: SAM's steps are unstable earlier. NaN for others, as Adam, and where
    parameter groups differ in what enters.
    """
    if not isinstance(optimizer, torch.optim.SGD):
        return math.nan
    group, *others = optimizer.param_groups
    if any(other[key] != group[key] for other in others for key in ("lr", "weight_decay")):
        return math.nan
    beta = group["momentum"]
    c = (2 + 2 * beta) / (1 + 2 * beta) if group["nesterov"] else 2 + 2 * beta
    return c / lr - group["weight_decay"]


def ascent_gain(
    model: nn.Module,
    loss: LossFn,
    method: Any,
    steps: Sequence[Batch],
    batch_norm: str = "stored",
) -> float:
    """Mean of L_j(w + e_j) − L_j(w) over the parts j that climb on their own; NaN without a climb.

    e_j: the first climb of a step on that part, by the gradient of the plain loss in eval mode.
    """
    found = climb_of(method)
    if found is None:
        return math.nan
    over, rho = found
    parameters = [p for p in model.parameters() if p.requires_grad]
    walker = Walker(model, torch.optim.SGD(parameters, lr=1.0), loss)
    w, gain, total = walker.w, 0.0, 0.0
    with kept_modes(model), full_precision(walker.device):
        norms = bn.trained(model) if batch_norm == "batch" else []
        set_eval(model)
        bn.use_batch_statistics(norms)
        for part in (part for step in steps for part in over.parts(step)):
            e = over.climb(walker, over.gradient(walker, part, at=w), w, rho)
            rise = walker.value(part, at=w + e) - walker.value(part, at=w)
            gain, total = gain + part.share * rise.item(), total + part.share
    return gain / total


def climb_of(method: Any) -> tuple[ascent.Ascent, float | Tensor] | None:
    """Find the first ascent in a step of a method, and its radius; None if there is none."""
    over = getattr(method, "over", None)
    if isinstance(method, ascent.Ascent):
        return method, ascent.start(method)
    if isinstance(method, LETS):
        inner = climb_of(ascent.inside(over))
        return None if inner is None else (inner[0], method.radius)
    if isinstance(method, Lookbehind | MultistepSAM):
        rho = ascent.start(method)
        return ascent.inside(over), rho / method.k if getattr(method, "split", False) else rho
    return None if over is None else climb_of(over)
