"""Quadratic Bezier curve between two minima, trained for a low mean loss along it.

Garipov, Izmailov, Podoprikhin, Vetrov & Wilson, NeurIPS 2018 (arXiv 1802.10026).
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from landscape.measures.space.regrouping import regrouped
from landscape.network.batch import Batch
from landscape.objective.objective import Objective
from landscape.utils.rng import seed_of

MOMENTUM = 0.9


@dataclass(frozen=True)
class CurveTraining:
    """SGD on the bend θ of φ(t) = (1 − t)² w₁ + 2t(1 − t) θ + t² w₂, one t ~ U(0, 1) a step.

    The gradient by θ is 2t(1 − t) ∇(L(φ(t)) + ½ wd ‖φ(t)‖²): the penalty is on the point of the
    curve, not on θ. θ starts at the midpoint, which is the straight line. The learning rate is
    constant for half of the steps, then falls to 1 % of itself at nine tenths.

    epochs, batch_size, lr, weight_decay, seed: of that training.
    """

    epochs: int
    batch_size: int
    lr: float
    weight_decay: float
    seed: int

    def bend(
        self, objective: Objective, start: Tensor, end: Tensor, told: Callable[[int], None]
    ) -> Tensor:
        """θ (n,) after training on the objective's examples; `told` is given the epochs done.

        Batch norm of a step takes the statistics of its own batch, where there are any to take.
        Raises ValueError where the loss of a step is not finite.
        """
        theta, velocity = (start + end) / 2, torch.zeros_like(start)
        trained = objective.under("batch") if objective.batch_norm == "reestimated" else objective
        generator = torch.Generator().manual_seed(seed_of(self.seed, "bezier"))
        batches = list(_batches(trained, self.batch_size, generator))
        steps, step = self.epochs * len(batches), 0
        for epoch in range(self.epochs):
            for batch in batches if epoch == 0 else _batches(trained, self.batch_size, generator):
                t = float(torch.rand((), generator=generator))
                point, weight = on_curve(start, theta, end, t), 2 * t * (1 - t)
                g = weight * (trained.on_batches([batch]).grad(point) + self.weight_decay * point)
                if not bool(g.isfinite().all()):
                    raise ValueError(
                        "The curve's training met a gradient that is not finite: lower its "
                        f"learning rate, now {self.lr:g}."
                    )
                velocity = MOMENTUM * velocity + g
                theta = theta - self.lr * rate(step / steps) * velocity
                step += 1
            told(epoch + 1)
        return theta


def rate(share: float) -> float:
    """Learning rate after a share of the training, in units of the first."""
    if share <= 0.5:
        return 1.0
    return 0.01 if share >= 0.9 else 1.0 - 0.99 * (share - 0.5) / 0.4


def on_curve(start: Tensor, bend: Tensor, end: Tensor, t: float) -> Tensor:
    """φ(t), (n,)."""
    return (1 - t) ** 2 * start + 2 * t * (1 - t) * bend + t**2 * end


def curve_length(start: Tensor, bend: Tensor, end: Tensor) -> float:
    """Length of the curve: ∫ ‖φ'(t)‖ dt by the trapezoidal rule on 1,001 points.

    φ'(t) = 2(1 − t)(θ − w₁) + 2t(w₂ − θ), whose length needs three inner products.
    """
    a, b = (bend - start).double(), (end - bend).double()
    aa, ab, bb = float(a @ a), float(a @ b), float(b @ b)
    speeds = [
        2 * math.sqrt(max((1 - t) ** 2 * aa + 2 * t * (1 - t) * ab + t**2 * bb, 0.0))
        for t in (i / 1000 for i in range(1001))
    ]
    return (sum(speeds) - (speeds[0] + speeds[-1]) / 2) / 1000


def _batches(objective: Objective, size: int, generator: torch.Generator) -> Iterator[Batch]:
    """The examples in a new order, in full batches; all in one where there are fewer."""
    (joined,) = regrouped(objective.risk.given, objective.examples)
    order = torch.randperm(joined.size, generator=generator).to(objective.device)
    for i in range(max(1, joined.size // size)):
        yield joined.rows(order[i * size : (i + 1) * size])
