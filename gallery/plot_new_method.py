"""
A new method in one file
========================

A method is a dataclass with a ``step``. It gets a ``Walker``, which computes gradients anywhere and
makes steps of the base optimizer, and which handles batch norm, dropout, momentum and schedules.
"""

# %%
# The method: extragradient, the gradient at the point that a plain step would reach (Korpelevich
# 1976). SAM ascends before it computes the gradient; this method descends.

import tempfile
from dataclasses import dataclass
from pathlib import Path

import landscape as ls
from landscape import plots
from landscape.methods.walker.walker import Walker
from landscape.statistics.intervals import paired_difference


@dataclass
class Extragradient:
    """w⁺ = BaseOpt(w, ∇L(w − r ∇L(w))); r: how far to look ahead. Two passes a step."""

    r: float = 0.1

    def step(self, walker: Walker, batch: ls.Batch) -> None:
        g = walker.grad(batch)
        ahead = walker.w - self.r * g
        walker.descend(walker.grad(batch, at=ahead))


# %%
# With its name it is a method like the others. On the command line:
# ``landscape train --task digits --method mine.py:Extragradient --set Extragradient.r=0.2``. Beside
# the paper's box stands a check: with r = 0 it must be plain gradient descent.

ls.METHODS["extragradient"] = Extragradient
folder = Path(tempfile.mkdtemp())
short = {"training": {"epochs": 10, "device": "cpu"}}
plain = ls.train("digits", "sgd", 0, folder / "plain", settings=short)
same = {**short, "extragradient": {"r": 0.0}}
twin = ls.train("digits", "extragradient", 0, folder / "twin", settings=same)
print("r = 0 is SGD:", twin.metrics[-1]["train_loss"] == plain.metrics[-1]["train_loss"])

# %%
# Against SGD at equal gradient evaluations: SGD has the epochs twice, because a step of the new
# method costs two passes. The same six seeds for both, so differences are paired.

budgets = {"sgd": 10, "extragradient": 5}
runs = {
    method: [
        ls.train(
            "digits", method, seed, folder / f"{method}-{seed}",
            settings={"training": {"epochs": epochs, "device": "cpu"}},
        )
        for seed in range(6)
    ]
    for method, epochs in budgets.items()
}  # fmt: skip
last = {method: [run.metrics[-1] for run in found] for method, found in runs.items()}
for quantity in ("grad_evals", "test_accuracy", "test_loss"):
    a, b = ([row[quantity] for row in last[method]] for method in ("extragradient", "sgd"))
    d = paired_difference(a, b)
    print(f"{quantity}: extragradient − SGD = {d.mean:+.4f} [{d.low:+.4f}, {d.high:+.4f}]")

# %%
# The curves, mean and interval over seeds.

plots.curves({method: [run.records()["curves"] for run in found] for method, found in runs.items()})
