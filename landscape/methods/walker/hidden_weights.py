"""Optimizers that keep weights beside the parameters, which a pull-back would not move."""

from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from landscape.methods.walker.base_optimizer import OptimizerGroup, unwrapped

PROBE_STEPS, PROBE_LR, TOLERANCE = 24, 1e-6, 0.1
WRAPPERS = (
    "slow_weights",
    "la_alpha",
    "alpha",
    "k",
    "pullback_momentum",
)  # of Lookahead around one


def check_no_hidden_weights(optimizer: Optimizer, method: str) -> None:
    """Raise ValueError for an optimizer whose step does not start from where the parameters are.

    method: the name of the one that moves the parameters between steps.
    """
    for one in optimizer.optimizers if isinstance(optimizer, OptimizerGroup) else [optimizer]:
        if keeps_weights(one):
            raise ValueError(
                f"{method} moves the weights between steps, and {type(one).__name__} keeps weights "
                "of its own, which would not follow. Use SGD or AdamW, or SAM around it."
            )


def keeps_weights(optimizer: Any) -> bool:
    """Tell schedule-free and Lookahead-like optimizers from those that know the parameters alone.

    Those with modes train() and eval() swap weights. Others are tried: of two runs on a small
    parameter with the same gradients, one is moved by 1 after the first step. The two stay 1 apart
    unless the moved one is drawn back to weights that it remembers.
    """
    if unwrapped(optimizer) is not optimizer and any(hasattr(optimizer, key) for key in WRAPPERS):
        return True
    inner = unwrapped(optimizer)
    if callable(getattr(inner, "train", None)) and callable(getattr(inner, "eval", None)):
        return True
    try:
        apart = _after_probe(inner, moved=True) - _after_probe(inner, moved=False)
    except Exception:  # a constructor or a step of another form: nothing is known
        return False
    return bool(((apart - 1.0).abs() > TOLERANCE).any())


def _after_probe(optimizer: Optimizer, moved: bool) -> torch.Tensor:
    p = nn.Parameter(torch.full((3, 3), 0.5, dtype=torch.float64))
    settings = {**optimizer.defaults, "lr": PROBE_LR}
    settings |= {"weight_decay": 0.0} if "weight_decay" in settings else {}
    kinds: Any = type(optimizer)
    twin = kinds([p], **settings)
    for step in range(PROBE_STEPS):
        p.grad = torch.linspace(-1.0, 1.0, 9, dtype=p.dtype).view(3, 3)
        twin.step()
        if step == 0 and moved:
            p.data += 1.0
    return p.detach()
