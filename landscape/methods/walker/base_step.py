"""Forward derivative of one base optimizer step: from the tangents of w, g and state to that of w⁺.

SGD:   w⁺ = w - lr·d,  d = b (or g + μ·b with Nesterov),  b = μ·b₀ + (1 - dampening)·g
Adam:  w⁺ = w - lr·m̂/(√v̂ + eps),  m̂ = m/(1-β₁ᵗ),  m = β₁·m₀ + (1-β₁)·g,  v̂ likewise of g²

Coupled weight decay enters through g, that of AdamW shrinks w. Checked against finite differences
through the real optimizers.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer

from landscape.methods.walker.base_optimizer import name_of, unwrapped

Carried = tuple[Tensor, ...]  # tangents of the state: of momentum, or of both moments; () is zero


def check(optimizer: Optimizer) -> None:
    """Raise ValueError for an optimizer whose step cannot be differentiated."""
    _rule(optimizer)
    if any(group.get("amsgrad") for group in optimizer.param_groups):
        raise ValueError("The response of a base step is not known for amsgrad. Switch it off.")


def push_forward(
    optimizer: Optimizer,
    parameter: Tensor,
    first: bool,
    w: Tensor,
    g: Tensor,
    dw: Tensor,
    dg: Tensor,
    carried: Carried,
) -> tuple[Tensor, Carried]:
    """Differentiate the last step of one parameter: tangents of w⁺ and of the state after it.

    first: whether it was the parameter's first (torch's SGD ignores dampening there).
    w, g: weights before the step and the gradient given to it; dw, dg: their tangents; all in the
    parameter's shape. carried: tangents of the state before the step.

    Raises ValueError for an optimizer whose step is not known here.
    """
    check(optimizer)
    groups = optimizer.param_groups
    group = next(c for c in groups if any(p is parameter for p in c["params"]))
    state = optimizer.state[parameter]
    return _rule(optimizer)(group, state, first, w, g, dw, dg, carried)


def _rule(optimizer: Optimizer) -> Callable[..., tuple[Tensor, Carried]]:
    optimizer = unwrapped(optimizer)
    if isinstance(optimizer, SGD):
        return _sgd
    if isinstance(optimizer, Adam | AdamW):
        return _adam
    raise ValueError(
        "The response of a base step is known for SGD, Adam and AdamW. "
        f"Got {name_of(optimizer)}: use one of these, or a fixed radius."
    )


def _sign(group: dict[str, Any]) -> float:
    """-1 where the group maximizes: torch then negates the gradient."""
    return -1.0 if group["maximize"] else 1.0


def _sgd(
    group: dict[str, Any],
    state: dict[str, Any],
    first: bool,
    w: Tensor,
    g: Tensor,
    dw: Tensor,
    dg: Tensor,
    carried: Carried,
) -> tuple[Tensor, Carried]:
    mu, d = group["momentum"], _sign(group) * dg + group["weight_decay"] * dw
    if mu == 0:
        return dw - group["lr"] * d, ()
    before = carried[0] if carried else torch.zeros_like(d)
    b = d if first else mu * before + (1 - group["dampening"]) * d
    return dw - group["lr"] * (d + mu * b if group["nesterov"] else b), (b,)


def _adam(
    group: dict[str, Any],
    state: dict[str, Any],
    first: bool,
    w: Tensor,
    g: Tensor,
    dw: Tensor,
    dg: Tensor,
    carried: Carried,
) -> tuple[Tensor, Carried]:
    (beta1, beta2), lr, decay = group["betas"], group["lr"], group["weight_decay"]
    t = float(state["step"])
    g, dg = _sign(group) * g, _sign(group) * dg
    if group["decoupled_weight_decay"]:
        dw = dw * (1 - lr * decay)
    else:
        g, dg = g + decay * w, dg + decay * dw
    dm, dv = carried or (torch.zeros_like(dg), torch.zeros_like(dg))
    dm, dv = beta1 * dm + (1 - beta1) * dg, beta2 * dv + 2 * (1 - beta2) * g * dg
    m = state["exp_avg"] / (1 - beta1**t)
    root = (state["exp_avg_sq"] / (1 - beta2**t)).sqrt()
    droot = torch.where(root > 0, dv / (1 - beta2**t) / (2 * root), 0.0)
    denominator = root + group["eps"]
    step = dm / (1 - beta1**t) / denominator - m * droot / denominator**2
    return dw - lr * step, (dm, dv)
