"""The methods in a user's own loop: `stepper = wrap(method, model, optimizer, loss)`, then
`stepper.step(batch)` in the place of zero_grad, backward and step.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from landscape.batch import Batch, Logits, LossFn, as_batch
from landscape.methods import METHODS, Method, make
from landscape.walker import Walker

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
) -> "Stepper":
    """A stepper that trains `model` with `method` on top of the base `optimizer`.

    method: an object, or a name as "sam" or "lets+asam" for one at its defaults.
    optimizer: holds exactly the model's trainable parameters; schedules act on it as always.
    loss: (model, batch) -> mean over the batch, shape ().
    held_out: a re-iterable of batches or pairs (x, y), cycled; fresh: an endless iterator of
    further training batches. Both for lets.
    logits: (model, batch) -> classes last; default model(batch.x).
    seed: of dropout masks, each pass from (seed, step, pass), or one per step with `same_mask`.
    autocast: dtype of mixed precision, as torch.bfloat16. max_grad_norm: clips the final gradient.

    Raises ValueError for an unknown method, an optimizer that lacks parameters or is not the one
    that the method's name promises (sgd, adamw).
    """
    if isinstance(method, str):
        method = make(method)
    _check_method(method, optimizer)
    walker = Walker(
        model,
        optimizer,
        loss,
        logits=logits,
        seed=seed,
        same_mask=same_mask,
        autocast=autocast,
        max_grad_norm=max_grad_norm,
    )
    return Stepper(method, walker, held_out, fresh)


class Stepper:
    """A method, its walker and their common state; made by `wrap`."""

    def __init__(
        self,
        method: Method,
        walker: Walker,
        held_out: Iterable[Any] | None,
        fresh: Iterator[Any] | None,
    ):
        self.method, self.walker = method, walker
        self._held_out = None if held_out is None else Resumable(held_out, walker.device)
        self._fresh = None if fresh is None else (as_batch(b).to(walker.device) for b in fresh)
        walker.feed(self._held_out, self._fresh)

    def step(self, batch: Batch | tuple[Any, Any]) -> Tensor:
        """One step of the method on a batch or a pair (x, y); the loss at w before it, shape ()."""
        batch = as_batch(batch).to(self.walker.device)
        self.walker.begin(batch.size)
        self.method.step(self.walker, batch)
        return self.walker.step_loss

    @property
    def logged(self) -> Mapping[str, Tensor | float]:
        """What the method wrote down in the last step, as lets its rho."""
        return self.walker.logged

    def state_dict(self) -> dict[str, Any]:
        """Base optimizer, method, step count and place in the held-out data: numbers and tensors.

        The model's weights and the place in `fresh` are the caller's to keep.
        """
        return {
            "optimizer": self.walker.optimizer.state_dict(),
            "method": self.method.state_dict() if hasattr(self.method, "state_dict") else {},
            "step": self.walker.step_index,
            "held_out": 0 if self._held_out is None else self._held_out.position,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict()`, of the same method."""
        if bool(state["method"]) != hasattr(self.method, "load_state_dict"):
            raise ValueError(
                "The state must come from the same method. "
                f"{type(self.method).__name__} does not fit it."
            )
        self.walker.optimizer.load_state_dict(state["optimizer"])
        if hasattr(self.method, "load_state_dict"):
            self.method.load_state_dict(state["method"])
        self.walker.step_index = state["step"]
        if self._held_out is not None:
            self._held_out.position = state["held_out"]
            self.walker.feed(self._held_out, self._fresh)


class Resumable:
    """Batches on a device, that can be gone through again and from the middle.

    position: how many of this round were given.
    """

    def __init__(self, batches: Iterable[Any], device: torch.device):
        self.batches, self.device, self.position = batches, device, 0

    def __iter__(self) -> Iterator[Batch]:
        start, count = self.position, 0
        for count, batch in enumerate(self.batches, 1):
            if count > start:
                self.position = count
                yield as_batch(batch).to(self.device)
        self.position = 0
        if 0 < count <= start:  # it was resumed at the very end of a round
            yield from self


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
