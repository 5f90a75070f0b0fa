"""Checks that a method fits its optimizer, its data and its ranks, before the first step.

A method declares what it cannot do as class attributes: `base`, the torch optimizer that its name
promises; `needs`, what it asks of the walker beside gradients; `no_maximize`, why it cannot go up
a loss; `no_closure`, `no_per_rank` and `no_compile`, why it cannot step on a closure, with a climb
per rank, or through a compiled network;
`cycle`, the steps after which its passes repeat. `check_model(model)` refuses a model.
"""

import math
from collections.abc import Iterator
from typing import Any

from torch import nn
from torch.optim import Optimizer

from landscape.methods.walker import base_step
from landscape.methods.walker.base_optimizer import unwrapped
from landscape.methods.walker.extra_batches import MISSING
from landscape.methods.walker.hidden_weights import check_no_hidden_weights


def nested(method: Any) -> Iterator[Any]:
    """Yield a method and all methods inside it, outermost first."""
    while method is not None:
        yield method
        method = getattr(method, "over", None)


def name_of(method: Any) -> str:
    """Name a method with those inside it, such as "LETS+ASAM"."""
    return "+".join(type(m).__name__ for m in nested(method))


def cycle(method: Any) -> int:
    """Count the steps after which the passes of a method repeat: 1 where all steps cost alike."""
    return math.lcm(*(getattr(m, "cycle", 1) for m in nested(method)))


def check_model(method: Any, model: nn.Module) -> None:
    """Raise ValueError where the model lacks what a method changes."""
    for m in nested(method):
        if hasattr(m, "check_model"):
            m.check_model(model)


def check(method: Any, optimizer: Optimizer, held_out: Any, fresh: Any) -> None:
    """Raise ValueError where the optimizer or the extra batches do not serve the method."""
    base, inner = getattr(method, "base", None), unwrapped(optimizer)
    if base is not None and not isinstance(inner, base):
        raise ValueError(
            f"{type(method).__name__} needs torch.optim.{base.__name__} as the base optimizer. "
            f"Got {type(inner).__name__}."
        )
    if isinstance(held_out, Iterator):
        raise ValueError(
            "`held_out` must be a list of batches or a DataLoader, which can be gone through "
            f"again. Got {type(held_out).__name__}: make a list of it."
        )
    for needs in (getattr(m, "needs", ()) for m in nested(method)):
        for name, given in (("held_out", held_out), ("fresh", fresh)):
            if name in needs and given is None:
                raise ValueError(MISSING[name])
    check_optimizer(method, optimizer)


def check_optimizer(method: Any, optimizer: Optimizer) -> None:
    """Raise ValueError where a method cannot stand on an optimizer, whatever its name promises."""
    for needs in (getattr(m, "needs", ()) for m in nested(method)):
        if "response" in needs:
            base_step.check(optimizer)
        if "move_to" in needs:
            check_no_hidden_weights(optimizer, name_of(method))
    if any(group.get("maximize") for group in optimizer.param_groups):
        for reason in filter(None, (getattr(m, "no_maximize", None) for m in nested(method))):
            raise ValueError(
                f"`maximize` must be False under {name_of(method)}: {reason}. "
                "Minimise the negative of the loss instead."
            )


def check_closure(method: Any) -> None:
    """Raise ValueError where a method cannot step on a closure."""
    for m in nested(method):
        if hasattr(m, "no_closure"):
            raise ValueError(
                f"{type(m).__name__} cannot step on a closure: {m.no_closure}. Call step(batch)."
            )


def check_per_rank(method: Any) -> None:
    """Raise ValueError where a method must be the same on all ranks."""
    for m in nested(method):
        if hasattr(m, "no_per_rank"):
            raise ValueError(f'{m.no_per_rank} Use distributed="global".')


def not_compiled(method: Any) -> str:
    """Say why a method's passes cannot run through a compiled network; "" where they can."""
    reasons = [(m, getattr(m, "no_compile", "")) for m in nested(method)]
    return "; ".join(f"{type(m).__name__} {reason}" for m, reason in reasons if reason)
