"""SGD and AdamW: the base optimizer alone, the baselines of every comparison.

Robbins, Monro 1951; Loshchilov, Hutter, ICLR 2019 (arXiv 1711.05101).
"""

from dataclasses import dataclass
from typing import ClassVar

import torch

from landscape.methods.walker.walker import Walker
from landscape.network.batch import Batch


@dataclass
class SGD:
    """Descend along the gradient of the batch: w⁺ = BaseOpt(w, ∇L(w)).

    base: the torch optimizer that the walker must hold for the name to be true; momentum and
    weight decay are its settings.

    Cost: 1 pass a step.

    Example: L(w) = ‖w‖²/2 from w = (0.6, 0.8), one step w − 0.1 w.

    >>> import torch
    >>> import landscape as ls
    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> model.weight.data = torch.tensor([[0.6, 0.8]])
    >>> base = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> mse = lambda model, batch: (model(batch.x) - batch.y).square().mean()
    >>> stepper = ls.optim.wrap(ls.methods.SGD(), model, base, mse)
    >>> loss = stepper.step((torch.eye(2), torch.zeros(2, 1)))
    >>> model.weight.data
    tensor([[0.5400, 0.7200]])
    """

    base: ClassVar[type[torch.optim.Optimizer]] = torch.optim.SGD
    no_rule: ClassVar[str] = "it perturbs nothing"

    def step(self, walker: Walker, batch: Batch) -> None:
        """Make one step on one batch."""
        walker.descend(walker.grad(batch))


@dataclass
class AdamW(SGD):
    """The same step with AdamW as the base optimizer.

    Cost: 1 pass a step.

    Example: L(w) = ‖w‖²/2 from w = (0.6, 0.8), a step of 0.1 in each weight, and the decay.

    >>> import torch
    >>> import landscape as ls
    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> model.weight.data = torch.tensor([[0.6, 0.8]])
    >>> base = torch.optim.AdamW(model.parameters(), lr=0.1)
    >>> mse = lambda model, batch: (model(batch.x) - batch.y).square().mean()
    >>> stepper = ls.optim.wrap(ls.methods.AdamW(), model, base, mse)
    >>> loss = stepper.step((torch.eye(2), torch.zeros(2, 1)))
    >>> model.weight.data
    tensor([[0.4994, 0.6992]])
    """

    base: ClassVar[type[torch.optim.Optimizer]] = torch.optim.AdamW
