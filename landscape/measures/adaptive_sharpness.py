"""Adaptive m-sharpness in the l∞ and l2 norms, worst and average case, with normalised logits.

Andriushchenko, Croce, Müller, Hein & Flammarion, ICML 2023 (arXiv 2302.07011).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from landscape.linalg import probes
from landscape.measures.context import Progress, shows_progress, signature
from landscape.measures.sharpness import around
from landscape.measures.space import ball_ascent, scales
from landscape.measures.space.ball_norms import NORMS
from landscape.measures.space.regrouping import regrouped
from landscape.network.batch import are_probabilities, class_logits
from landscape.network.linear_layer import answers_of
from landscape.objective.objective import Objective
from landscape.objective.reduction import can_be_regrouped
from landscape.records import AdaptiveSharpnessRecord, Array
from landscape.utils import checks

LOGITS = ("plain", "norm", "rms")
LEAST = 1e-10  # length of logits below which they are not divided by it


@dataclass(frozen=True)
class AdaptiveSharpness:
    """Rise of the loss at w + δ over ‖δ/c‖_p ≤ ρ, c = |w|: the highest in each batch, and the mean.

    Worst case: mean over batches B of max L_B(w + δ) − L_B(w), a lower bound by projected ascent in
    u = δ/c, whose every step is unchanged where neurons of a ReLU network are rescaled without
    changing the function. Average case: δ = ρ c ⊙ ξ, ξ ~ N(0, I) for l2 and U(−1, 1) for l∞, the
    same ξ for all models of one shape. All trainable parameters move; weights of zero do not.

    norm: "linf" or "l2".
    radii: radii ρ of the worst case, rising. For l2 the paper's are 0.25 to 2.
    average_radii: of the average case, as many.
    adaptive: c = |w|; else 1.
    m: largest number of examples in a batch, as in `Sharpness`; a loss that is no mean over the
    examples keeps its batches.
    steps, restarts: of the ascent; restarts begin at random points.
    draws: samples of ξ, at least 2.
    logits: "plain"; "norm", z ← (z − mean)/‖z − mean‖ of each example before the loss, as the
    authors' code has it; "rms", by the root mean square instead, √classes longer.
    seed: of random starts and draws.

    Defaults are those of the authors' last script (20 steps from w, m = 128, 20 draws), without its
    Auto-PGD, whose momentum and restarts differ from what it cites.
    Cost: for each radius up to (1 + restarts) · steps gradients, as many passes, and draws passes.
    Raises ValueError for settings out of range, and for logits to normalise of a model that does
    not return them.

    Example: L(w) = (w₁² + 4 w₂²)/2 at w = (1, 1), l∞: the corner δ = 0.1 w is the highest point.

    >>> import torch
    >>> import landscape as ls
    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> model.weight.data = torch.ones(1, 2)
    >>> batch = ls.Batch(torch.diag(torch.tensor([1.0, 2.0])), torch.zeros(2, 1))
    >>> mse = lambda model, batch: (model(batch.x) - batch.y).square().mean()
    >>> measure = ls.measures.AdaptiveSharpness(radii=(0.1,), average_radii=(0.1,))
    >>> measure(ls.Objective(model, [batch], mse)).mean.round(4)
    array([0.525])
    """

    norm: str = "linf"
    radii: tuple[float, ...] = (0.001, 0.002, 0.004, 0.008)
    average_radii: tuple[float, ...] = (0.05, 0.1, 0.2, 0.4)
    adaptive: bool = True
    m: int = 128
    steps: int = 20
    restarts: int = 0
    draws: int = 20
    logits: str = "plain"
    seed: int = 0

    def __post_init__(self) -> None:
        checks.typed(self)
        ball_ascent.check(self.radii, self.steps, self.restarts)
        scales.check_rising("average_radii", self.average_radii, "radii")
        if len(self.radii) != len(self.average_radii):
            raise ValueError(
                f"`average_radii` must be as many as `radii`, {len(self.radii)}. "
                f"Got {len(self.average_radii)}."
            )
        checks.one_of(tuple(NORMS), norm=self.norm)
        checks.one_of(LOGITS, logits=self.logits)
        checks.at_least(1, m=self.m)
        if self.draws < 2:
            raise ValueError(f"`draws` must be at least 2, for an interval. Got {self.draws}.")

    @shows_progress
    def __call__(
        self, objective: Objective, *, progress: Progress | None = None
    ) -> AdaptiveSharpnessRecord:
        """Search around the objective's point; `progress` counts batches, then the draws."""
        batches = list(objective.risk.given)
        if objective.retry_on_oom(lambda: can_be_regrouped(objective.risk)):
            batches = regrouped(batches, self.m)
        c = objective.w.abs() if self.adaptive else torch.ones_like(objective.w)
        loss, worst = np.empty(len(batches)), np.empty((len(self.radii), len(batches)))
        if self.logits != "plain":
            objective.retry_on_oom(lambda: _check_classes_last(objective))
        with normalised_logits(objective.risk.model, self.logits):
            for b, batch in enumerate(batches):
                hill = around(objective, batch, c)
                centre = hill.at(torch.zeros_like(c))
                walk = ball_ascent.walk(
                    hill, centre, self.radii, self.steps, self._starts(c), NORMS[self.norm]
                )
                loss[b] = centre.height
                worst[:, b] = [reached.best.height - centre.height for reached in walk]
                if progress is not None:
                    progress(b + 1, len(batches) + 1)
            average = self._average(objective, c)
        if progress is not None:
            progress(len(batches) + 1, len(batches) + 1)
        return AdaptiveSharpnessRecord(
            radii=np.array(self.radii),
            worst=worst,
            average=average,
            average_radii=np.array(self.average_radii),
            loss=loss,
            share=np.array([batch.share for batch in batches]),
            norm=self.norm,
            logits=self.logits,
            **signature(self, objective),
        )

    def _starts(self, c: Tensor) -> list[Tensor]:
        steepest = NORMS[self.norm].steepest
        return [steepest(xi * (c > 0)) for xi in probes.gaussians(c, self.restarts, self.seed)]

    def _average(self, objective: Objective, c: Tensor) -> Array:
        """L(w + ρ c ⊙ ξ) − L(w), (radii, draws)."""
        w, noise = objective.w, NORMS[self.norm].noise
        here, rises = objective.value(), np.empty((len(self.average_radii), self.draws))
        for i, xi in enumerate(probes.gaussians(w, self.draws, self.seed)):
            step = c * noise(xi)
            rises[:, i] = [objective.value(w + rho * step) - here for rho in self.average_radii]
        return rises


def _check_classes_last(objective: Objective) -> None:
    """Raise ValueError where the model's answer is not (examples, classes), nor (..., classes), or
    where it is probabilities.
    """
    risk, batch = objective.risk, objective.risk.batches[0]
    with risk.opened(risk.w), answers_of(risk.model) as answers:
        risk.batch_loss(batch)
    for z in answers:
        flat = isinstance(z, Tensor) and z.dim() == 2
        if not flat and class_logits(z, batch.y) is None:
            raise ValueError(
                "Logits can be normalised where the model returns them, (examples, classes), or "
                f"with the classes last. Got {tuple(z.shape) if isinstance(z, Tensor) else type(z)}"
                '. Use logits="plain" here.'
            )
        if are_probabilities(z):
            raise ValueError(
                "Logits can be normalised where the model returns them. Its answers are "
                'probabilities, whose sum the loss counts on. Use logits="plain" here.'
            )


@contextmanager
def normalised_logits(model: nn.Module, how: str) -> Iterator[None]:
    """While open, the logits that the model returns are centred and divided by their length.

    how: "plain", "norm" or "rms".
    """
    if how == "plain":
        yield
        return

    def normalise(_module: nn.Module, _inputs: Any, z: Any) -> Tensor:
        if not (isinstance(z, Tensor) and z.dim() > 1 and z.shape[-1] > 1):
            raise ValueError(
                "Logits can be normalised where the model returns them, (examples, classes). Use "
                'logits="plain" here.'
            )
        centred = z - z.mean(-1, keepdim=True)
        length = centred.norm(dim=-1, keepdim=True)
        return centred / (length / (z.shape[-1] ** 0.5 if how == "rms" else 1)).clamp(min=LEAST)

    handle = model.register_forward_hook(normalise)
    try:
        yield
    finally:
        handle.remove()
