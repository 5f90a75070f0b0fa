"""Checks that a network, its base optimizer and a precision are compatible."""

import torch
from torch.optim import Optimizer

from landscape.network.weights import Weights


def check_parameters(weights: Weights, optimizer: Optimizer) -> None:
    """Raise ValueError where the optimizer does not hold exactly the model's trainable parameters.

    Frozen ones may be in it or not.
    """
    ours = {id(p): name for name, p in zip(weights.names, weights.parameters, strict=True)}
    groups = optimizer.param_groups
    theirs = {id(p) for group in groups for p in group["params"] if p.requires_grad}
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
