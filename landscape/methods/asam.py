"""ASAM, adaptive SAM: Kwon, Kim, Park, Choi, ICML 2021 (arXiv 2102.11600)."""

from dataclasses import dataclass
from functools import partial

from landscape.batch import Batch
from landscape.methods import ascent, checks
from landscape.walker import Walker


@dataclass
class ASAM:
    """SAM in a ball that scales with the weights: min_w max_{‖e/T‖ ≤ ρ} L(w + e), e = ρ T²g/‖Tg‖.

    T = |w| + η elementwise in tensors called weight, T = 1 in all others (biases): scaling one
    layer up and the next one down leaves the perturbed function as it was.

    rho: radius, in multiples of the weights (0.5: the authors' example for CIFAR-10).
    eta: lets weights of zero move (0.01: the default of the authors' class).

    Cost: 2 passes a step.

    Raises ValueError for a negative setting.

    Differs from the authors' code:
    - "weight" is looked for in the parameter's own name, not in the path of modules that leads to
      it, so renaming a module changes nothing.
    """

    rho: float = 0.5
    eta: float = 0.01

    def __post_init__(self) -> None:
        checks.non_negative(rho=self.rho, eta=self.eta)

    def step(self, walker: Walker, batch: Batch) -> None:
        """One step on one batch."""
        g = walker.grad(batch)
        e = self.rule(walker)(g, walker.w, self.rho)
        walker.descend(walker.grad(batch, at=walker.w + e))

    def rule(self, walker: Walker) -> ascent.Rule:
        """The ascent, for use inside another method."""
        unscaled = [
            part for name, part in walker.layers.items() if "weight" not in name.rpartition(".")[2]
        ]
        return partial(ascent.asam, eta=self.eta, unscaled=unscaled)
