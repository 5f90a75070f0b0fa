"""The methods in a user's own loop: `stepper = wrap(method, model, optimizer, loss)`, then
`stepper.step(batch)` in the place of zero_grad, backward and step.
"""

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from landscape.methods import AACE, FAM, LETS, METHODS, MSAM, Method, make
from landscape.methods.walker.accumulation import gathered
from landscape.methods.walker.closure import Closure
from landscape.methods.walker.distributed import DistributedWalker
from landscape.methods.walker.extra_batches import Resumable
from landscape.methods.walker.walker import Walker
from landscape.network.batch import Batch, Logits, LossFn, as_batch

__all__ = ["Stepper", "wrap"]

NO_CLOSURE: dict[type, str] = {
    MSAM: "it splits the batch into shards",
    LETS: "it also takes the loss of other batches",
    FAM: "its penalty looks at outputs inside the network",
    AACE: "its climb follows another loss, of the logits",
}
COUNTS = ("step_index", "passes", "grad_evals")


class Stepper(Optimizer):
    """A method, its walker and their common state; made by `wrap`.

    For schedulers it is an optimizer of torch with the parameter groups of the base optimizer,
    which is `optimizer`. torch.amp.GradScaler is refused: bfloat16 needs none.
    """

    def __init__(
        self,
        method: Method,
        walker: Walker,
        held_out: Iterable[Any] | None,
        fresh: Iterator[Any] | None,
    ):
        self.method, self.walker, self.optimizer = method, walker, walker.optimizer
        super().__init__(self.optimizer.param_groups, self.optimizer.defaults)
        self._share_groups()
        self.optimizer.register_load_state_dict_post_hook(lambda _: self._share_groups())
        self._parameters = list(walker.model.parameters())
        self._trainable = [p.requires_grad for p in self._parameters]
        self._held_out = None if held_out is None else Resumable(held_out, walker.device)
        self._fresh = None if fresh is None else (as_batch(b).to(walker.device) for b in fresh)
        walker.feed(self._held_out, self._fresh)

    def step(  # type: ignore[override]
        self, batch: Batch | Sequence[Any] | Callable[[], Any]
    ) -> Tensor:
        """One step of the method; the loss at w before it, shape ().

        batch: a Batch or a pair (x, y). A list of these is one step on all their examples, batch by
        batch (gradient accumulation): every gradient, also that of a climb, is the mean over the
        union, and batch norm normalises each by itself.
        Or a closure as torch.optim.LBFGS has it: it clears the gradient, computes the loss, calls
        backward and returns the loss, always on the same data. It is called once a pass with the
        model's parameters moved; precision is its own business.

        Raises ValueError for a closure where the method needs more than that.
        """
        if [p.requires_grad for p in self._parameters] != self._trainable:
            raise ValueError("Other parameters are trainable than before. Call `wrap` again.")
        if callable(batch):
            self._check_closure()
            self.walker.begin(None)
            self.method.step(self.walker, cast(Batch, Closure(batch)))
        else:
            batch = gathered(batch).to(self.walker.device)
            self.walker.begin(batch.size)
            self.method.step(self.walker, batch)
        return self.walker.step_loss

    @property
    def logged(self) -> Mapping[str, Tensor | float]:
        """What the method wrote down in the last step, as lets its rho."""
        return self.walker.logged

    def state_dict(self) -> dict[str, Any]:
        """A snapshot of base optimizer, method, counts and place in the held-out data: numbers and
        tensors.

        The model's weights and the place in `fresh` are the caller's to keep.
        """
        return copy.deepcopy(
            {
                "optimizer": self.optimizer.state_dict(),
                "method": self.method.state_dict() if hasattr(self.method, "state_dict") else {},
                "held_out": 0 if self._held_out is None else self._held_out.position,
                **{name: getattr(self.walker, name) for name in COUNTS},
            }
        )

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict()`, of the same method.

        Raises ValueError for the state of another method, or of an optimizer alone.
        """
        state = copy.deepcopy(dict(state))
        if "method" not in state:
            raise ValueError(
                "The state must come from a stepper's `state_dict()`. An optimizer's own goes to "
                "`stepper.optimizer.load_state_dict`."
            )
        if bool(state["method"]) != hasattr(self.method, "load_state_dict"):
            raise ValueError(
                "The state must come from the same method. "
                f"{type(self.method).__name__} does not fit it."
            )
        self.optimizer.load_state_dict(state["optimizer"])
        if hasattr(self.method, "load_state_dict"):
            self.method.load_state_dict(state["method"])
        for name in COUNTS:
            setattr(self.walker, name, state[name])
        if self._held_out is not None:
            self._held_out.position = state["held_out"]
            self.walker.feed(self._held_out, self._fresh)

    def _share_groups(self) -> None:
        """Groups and state are the base optimizer's own, also after it has loaded others."""
        self.param_groups, self.state = self.optimizer.param_groups, self.optimizer.state

    @property
    def _step_supports_amp_scaling(self) -> bool:
        """The first thing that torch.amp.GradScaler asks of an optimizer."""
        raise ValueError(
            "A GradScaler cannot drive this step: passes after the first would be scaled without "
            "being unscaled. Use wrap(..., autocast=torch.bfloat16), which needs no scaler."
        )

    def _check_closure(self) -> None:
        method: Any = self.method
        while method is not None:
            for kind, reason in NO_CLOSURE.items():
                if isinstance(method, kind):
                    raise ValueError(
                        f"{type(method).__name__} cannot step on a closure: {reason}. "
                        "Call step(batch)."
                    )
            method = getattr(method, "over", None)
        if self.walker.autocast is not None:
            raise ValueError(
                "`autocast` does not reach into a closure. Open torch.autocast in it, around the "
                "forward pass, and wrap without."
            )


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
