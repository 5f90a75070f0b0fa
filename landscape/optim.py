"""The methods in a user's own loop: `stepper = wrap(method, model, optimizer, loss)`, then
`stepper.step(batch)` in the place of zero_grad, backward and step.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from landscape.methods import LETS, METHODS, Method, make
from landscape.methods.walker.distributed import DistributedWalker
from landscape.methods.walker.walker import Walker
from landscape.network.batch import Logits, LossFn
from landscape.stepper import Stepper

__all__ = ["Stepper", "wrap"]


def wrap(
    method: Method | str,
    model: nn.Module,
    optimizer: Optimizer,
    loss: LossFn,
    *,
    held_out: Iterable[Any] | None = None,
    fresh: Iterator[Any] | None = None,
    logits: Logits | None = None,
    seed: int = 0,
    same_mask: bool = False,
    autocast: torch.dtype | None = None,
    max_grad_norm: float | None = None,
    distributed: str | None = None,
) -> Stepper:
    """A stepper that trains `model` with `method` on top of the base `optimizer`.

    method: an object, or a name as "sam" or "lets+asam" for one at its defaults.
    optimizer: holds exactly the model's trainable parameters; schedules act on it as always.
    loss: (model, batch) -> mean over the batch, shape ().
    held_out: a re-iterable of batches or pairs (x, y), cycled; fresh: an endless iterator of
    further training batches. Both for lets.
    logits: (model, batch) -> classes last; default model(batch.x).
    seed: of dropout masks, each pass from (seed, step, pass), or one per step with `same_mask`.
    autocast: torch.bfloat16 for mixed precision; the weights stay float32.
    max_grad_norm: clips the final gradient.
    distributed: under torchrun, on the bare module: "global", every gradient averaged over the
    ranks; or "per-rank", each climbs on its own batch (see `landscape.methods.walker.distributed`).

    Freeze, add or replace parameters before, or wrap again.

    Raises ValueError for an unknown method, an optimizer whose parameters are not the model's or
    that is not the one that the method's name promises (sgd, adamw), a half precision that needs
    scaled gradients.
    """
    if isinstance(method, str):
        method = make(method)
    _check_method(method, optimizer)
    options: dict[str, Any] = {
        "logits": logits,
        "seed": seed,
        "same_mask": same_mask,
        "autocast": autocast,
        "max_grad_norm": max_grad_norm,
    }
    if distributed is None:
        walker = Walker(model, optimizer, loss, **options)
    else:
        _check_ranks(method, distributed)
        walker = DistributedWalker(model, optimizer, loss, ascent=distributed, **options)
    return Stepper(method, walker, held_out, fresh)


def _check_ranks(method: Any, distributed: str) -> None:
    """A learned radius must be the same on all ranks."""
    inside = method
    while inside is not None:
        if isinstance(inside, LETS) and distributed == "per-rank":
            raise ValueError(
                'lets would learn another radius on every rank. Use distributed="global".'
            )
        inside = getattr(inside, "over", None)


def _check_method(method: Any, optimizer: Optimizer) -> None:
    if not hasattr(method, "step"):
        raise ValueError(
            f"`method` must be a method or one of {', '.join(METHODS)}. Got {method!r}."
        )
    base = getattr(method, "base", None)
    if base is not None and not isinstance(optimizer, base):
        raise ValueError(
            f"{type(method).__name__} needs torch.optim.{base.__name__} as the base optimizer. "
            f"Got {type(optimizer).__name__}."
        )
