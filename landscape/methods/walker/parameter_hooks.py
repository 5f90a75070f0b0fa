"""Hooks on parameters, run as torch's backward runs them.

A pass differentiates tensors that stand in the place of the parameters, so torch itself never
meets the hooks of `Tensor.register_hook` and `register_post_accumulate_grad_hook`.
"""

from collections.abc import Sequence
from operator import attrgetter

import torch
from torch import Tensor, nn

from landscape.network.weights import Weights

BEFORE, AFTER = attrgetter("_backward_hooks"), attrgetter("_post_accumulate_grad_hooks")


def hooked(parameters: Sequence[nn.Parameter]) -> bool:
    """Tell whether any parameter has a hook on its gradient."""
    before, after = map(BEFORE, parameters), map(AFTER, parameters)
    return any(before) or any(after)


def check_no_hooks(parameters: Sequence[nn.Parameter]) -> None:
    """Raise ValueError where a Hessian-vector product would leave out hooks."""
    if hooked(parameters):
        raise ValueError(
            "A Hessian-vector product runs no hooks of parameters. Remove them, or choose "
            'gradients instead, as hessian="difference" of lets.'
        )


def run_hooks(
    weights: Weights, gradients: Sequence[Tensor | None], before: Tensor | None
) -> list[Tensor | None]:
    """The gradients that one backward pass leaves in the parameters, after their hooks.

    gradients: of each parameter, None where the pass did not reach it: no hook runs there.
    before: (n,), what earlier backward passes of the same step have accumulated; None: nothing.
    The answer is without it.

    Raises ValueError for a hook that moves its parameter or takes its gradient away.
    """
    if not hooked(weights.parameters):
        return list(gradients)
    held = [None] * len(gradients) if before is None else weights.split(before)
    rows = zip(weights.names, weights.parameters, held, gradients, strict=True)
    return [None if g is None else _after_hooks(name, p, old, g) for name, p, old, g in rows]


@torch.no_grad()
def _after_hooks(name: str, p: nn.Parameter, before: Tensor | None, g: Tensor) -> Tensor:
    for hook in (p._backward_hooks or {}).values():
        replaced = hook(g)
        g = g if replaced is None else replaced
    if not p._post_accumulate_grad_hooks:
        return g
    kept, version = p.grad, p._version
    p.grad = g.clone() if before is None else before + g
    try:
        for hook in p._post_accumulate_grad_hooks.values():
            hook(p)
        after = p.grad
    finally:
        p.grad = kept
    if after is None or p._version != version:
        raise ValueError(
            f"A hook on `{name}` must leave the parameter and its gradient in place: a method "
            "takes several gradients before one step. Remove the hook that steps in backward."
        )
    return after if before is None else after - before
