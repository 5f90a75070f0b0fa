"""Checks that a network, its base optimizer and a precision are compatible."""

import torch
from torch import nn
from torch.optim import Optimizer

from landscape.network.module_state import modules_in
from landscape.network.weights import Weights


def check_parameters(weights: Weights, optimizer: Optimizer) -> None:
    """Raise ValueError where the optimizer does not hold exactly the model's trainable parameters.

    Frozen ones may be in it or not.
    """
    ours = {id(p): name for name, p in zip(weights.names, weights.parameters, strict=True)}
    groups = optimizer.param_groups
    theirs = {id(p) for group in groups for p in group["params"] if p.requires_grad}
    if any(p.is_meta for p in weights.parameters):
        raise ValueError("The weights are on the meta device: load them onto a real one first.")
    missing = [name for key, name in ours.items() if key not in theirs]
    if missing:
        raise ValueError(
            "The optimizer must hold every trainable parameter. "
            f"Missing: {', '.join(missing[:5])}. Add them or set requires_grad=False."
        )
    foreign = len(theirs - ours.keys())
    if foreign:
        raise ValueError(
            "The optimizer must hold parameters of the model only: no other would move. "
            f"Got {foreign} more. Make them part of the model, or give them an optimizer of "
            "their own."
        )


class Unchanged:
    """Notices when model or optimizer hold other trainable parameters than at the start."""

    def __init__(self, model: nn.Module, optimizer: Optimizer):
        self.model, self.optimizer = model, optimizer
        self._before = dict(model.named_parameters())  # kept, so that no id is given twice
        self._ids = self._current()

    def check(self) -> None:
        """Raise ValueError naming what was replaced, added, taken away, frozen or unfrozen."""
        if self._current() != self._ids:
            raise ValueError(
                "The trainable parameters of model and optimizer must stay those seen by `wrap`: "
                f"no other would move. {self._difference()}. Call `wrap` again, with an optimizer "
                "of the present parameters."
            )

    def _current(self) -> tuple[list[int], list[int]]:
        groups = self.optimizer.param_groups
        in_model = (p for m in modules_in(self.model) for p in m._parameters.values())
        return (
            [id(p) for p in in_model if p is not None and p.requires_grad],
            [id(p) for group in groups for p in group["params"] if p.requires_grad],
        )

    def _difference(self) -> str:
        now = dict(self.model.named_parameters())
        trainable = set(self._ids[0])
        for name in [*self._before, *now]:
            p, before = now.get(name), self._before.get(name)
            if p is None or before is None:
                return f"`{name}` was {'added' if before is None else 'removed'}"
            if p is not before:
                return f"`{name}` was replaced"
            if p.requires_grad != (id(p) in trainable):
                return f"`{name}` was {'unfrozen' if p.requires_grad else 'frozen'}"
        return "The optimizer's groups were changed"


def check_precision(weights: Weights, autocast: torch.dtype | None) -> None:
    """Raise ValueError for weights or a mixed precision in which a method goes wrong silently."""
    types = {p.dtype for p in weights.parameters}
    if not types <= {torch.float32, torch.float64}:
        raise ValueError(
            "The weights must be float32 or float64: perturbations round to nothing in "
            f"{_names(types)}. Keep float32 weights and use autocast=torch.bfloat16."
        )
    if len(types) > 1:
        raise ValueError(f"The weights must have one dtype. Got {_names(types)}.")
    if autocast is torch.float16:
        raise ValueError(
            "`autocast` must be torch.bfloat16. Got float16, which needs scaled gradients, "
            "and a scale would change the length of every perturbation."
        )
    if autocast not in (None, torch.bfloat16):
        raise ValueError(f"`autocast` must be torch.bfloat16 or None. Got {autocast}.")


def _names(types: set[torch.dtype]) -> str:
    return ", ".join(sorted(str(t).removeprefix("torch.") for t in types))
