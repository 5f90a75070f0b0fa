"""ASAM, adaptive SAM: Kwon, Kim, Park, Choi, ICML 2021 (arXiv 2102.11600)."""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import Tensor

from landscape.methods import ascent
from landscape.methods.walker.walker import Walker
from landscape.utils import checks


@dataclass
class ASAM(ascent.Ascent):
    """SAM in a ball that scales with the weights: min_w max_{‖e/T‖ ≤ ρ} L(w + e), e = ρ T²g/‖Tg‖.

    T = |w| + η elementwise in the scaled tensors, T = 1 in all others: scaling one layer up and the
    next one down leaves the perturbed function as it was.

    rho: radius, in multiples of the weights (0.5: the authors' example for CIFAR-10).
    eta: lets weights of zero move (0.01: the default of the authors' class).
    scaled: which tensors scale: "weights", those called weight, scales of normalisation layers
    among them (the authors' code); "all"; or a pattern of full names, as "*.weight" or "head.*".

    Cost: 2 passes a step.

    Raises ValueError for a negative setting, or a pattern that no parameter's name matches.

    Differs from the authors' code:
    - "weight" is looked for in the parameter's own name, not in the path of modules that leads to
      it, so renaming a module changes nothing.

    Example: L(w) = ‖w‖²/2 from w = (0.6, 0.8), where e = ρ T²w/‖Tw‖, larger along w₂.

    >>> import torch
    >>> import landscape as ls
    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> model.weight.data = torch.tensor([[0.6, 0.8]])
    >>> base = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> mse = lambda model, batch: (model(batch.x) - batch.y).square().mean()
    >>> stepper = ls.optim.wrap(ls.methods.ASAM(rho=0.5, eta=0.0), model, base, mse)
    >>> loss = stepper.step((torch.eye(2), torch.zeros(2, 1)))
    >>> model.weight.data
    tensor([[0.5253, 0.6851]])
    """

    rho: float = 0.5
    eta: float = 0.01
    scaled: str = "weights"

    def __post_init__(self) -> None:
        checks.typed(self)
        checks.non_negative(rho=self.rho, eta=self.eta)

    @property
    def ball(self) -> str:
        """Length ‖e/T‖, in multiples of the weights."""
        return "‖e/T‖"

    def climb(self, walker: Walker, g: Tensor, w: Tensor, rho: ascent.Radius) -> Tensor:
        """Perturbation e = ρ T²g/‖Tg‖, (n,)."""
        scaled = scaled_names(self.scaled, walker.layers)
        unscaled = [entries for name, entries in walker.layers.items() if name not in scaled]
        return ascent.asam(g, w, rho, self.eta, unscaled)


def scaled_names(scaled: str, names: Iterable[str]) -> set[str]:
    """Names of the tensors that "weights", "all" or a pattern selects."""
    if scaled == "weights":
        return {name for name in names if "weight" in name.rpartition(".")[2]}
    matching = {name for name in names if scaled == "all" or fnmatchcase(name, scaled)}
    if not matching:
        raise ValueError(
            '`scaled` must be "weights", "all" or a pattern that fits a parameter. '
            f"Got {scaled!r}, parameters are {', '.join(names)}."
        )
    return matching
