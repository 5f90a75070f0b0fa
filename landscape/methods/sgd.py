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
    """

    base: ClassVar[type[torch.optim.Optimizer]] = torch.optim.AdamW
