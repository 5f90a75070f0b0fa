"""The derivative of one base optimizer step with respect to its gradient: ∂w⁺/∂g, applied to u.

SGD:   w⁺ = w - lr·d,  d = b (or g + μ·b with Nesterov),  b = μ·b₀ + (1 - dampening)·g
Adam:  w⁺ = w - lr·m̂/(√v̂ + eps),  m̂ = m/(1-β₁ᵗ),  m = β₁·m₀ + (1-β₁)·g,  v̂ likewise of g²

Weight decay shifts g and changes no derivative of SGD; coupled to Adam it enters through g.
Checked against finite differences through the real optimizers.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer

from landscape.methods.walker.base_optimizer import unwrapped


def response(
    optimizer: Optimizer,
    first: Sequence[bool],
    parameters: Sequence[Tensor],
    w: Sequence[Tensor],
    g: Sequence[Tensor],
    u: Sequence[Tensor],
) -> list[Tensor]:
    """(∂w⁺/∂g)·u per parameter, after the step.

    first: whether that step was the parameter's first (torch's SGD ignores dampening there).
    w, g: weights before the step and the gradient given to it; u: the direction; all in the
    parameters' shapes.

    Raises ValueError for an optimizer whose step is not known here.
    """
    of_step = _rule(optimizer)
    groups = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    return [
        of_step(groups[id(p)], optimizer.state[p], *rest)
        for p, *rest in zip(parameters, first, w, g, u, strict=True)
    ]


def check(optimizer: Optimizer) -> None:
    """Raise ValueError for an optimizer whose step cannot be differentiated."""
    _rule(optimizer)
    if any(group.get("amsgrad") for group in optimizer.param_groups):
        raise ValueError("The response of a base step is not known for amsgrad. Switch it off.")


def _rule(optimizer: Optimizer) -> Callable[..., Tensor]:
    optimizer = unwrapped(optimizer)
    if isinstance(optimizer, SGD):
        return _sgd
    if isinstance(optimizer, Adam | AdamW):
        return _adam
    raise ValueError(
        "The response of a base step is known for SGD, Adam and AdamW. "
        f"Got {type(optimizer).__name__}: use one of these, or a fixed radius."
    )


def _sign(group: dict[str, Any]) -> float:
    """-1 where the group maximizes: torch then negates the gradient."""
    return -1.0 if group["maximize"] else 1.0


def _sgd(
    group: dict[str, Any], state: dict[str, Any], first: bool, w: Tensor, g: Tensor, u: Tensor
) -> Tensor:
    factor = 1.0
    if group["nesterov"]:
        factor = 1.0 + group["momentum"]
    elif group["momentum"] and not first:
        factor = 1.0 - group["dampening"]
    return -_sign(group) * group["lr"] * factor * u


def _adam(
    group: dict[str, Any], state: dict[str, Any], first: bool, w: Tensor, g: Tensor, u: Tensor
) -> Tensor:
    beta1, beta2 = group["betas"]
    t = float(state["step"])
    if group["weight_decay"] and not group["decoupled_weight_decay"]:
        g = g + _sign(group) * group["weight_decay"] * w
    m = state["exp_avg"] / (1 - beta1**t)
    root = (state["exp_avg_sq"] / (1 - beta2**t)).sqrt()
    dm = (1 - beta1) / (1 - beta1**t)
    droot = torch.where(root > 0, (1 - beta2) / (1 - beta2**t) * _sign(group) * g / root, 0.0)
    denominator = root + group["eps"]
    return -_sign(group) * group["lr"] * (dm / denominator - m * droot / denominator**2) * u
