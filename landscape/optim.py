"""The methods in a user's own loop: `stepper = wrap(method, model, optimizer, loss)`, then
`stepper.step(batch)` in the place of zero_grad, backward and step.
"""

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from landscape.methods import METHODS, Method, make, requirements
from landscape.methods.walker.accumulation import gathered
from landscape.methods.walker.base_optimizer import as_one, unwrapped
from landscape.methods.walker.closure import Closure
from landscape.methods.walker.distributed import DistributedWalker, check_alone
from landscape.methods.walker.extra_batches import Resumable
from landscape.methods.walker.walker import Walker
from landscape.network.batch import Batch, Logits, LossFn, as_batch

__all__ = ["Stepper", "wrap"]

NO_BATCH = (
    "`step` needs the data, because a method makes several passes over them. Call step(batch) in "
    "the place of zero_grad, backward and step, or step(closure) with a closure that computes the "
    "loss, calls backward and returns the loss. In Lightning: step(batch) in `training_step`, with "
    "automatic_optimization = False."
)
COUNTS = ("step_index", "passes", "grad_evals")


class Stepper(Optimizer):
    """Method, walker and their common state as one torch optimizer; made by `wrap`.

    Schedulers see the parameter groups of the base optimizer, which is `optimizer`.
    torch.amp.GradScaler is refused: bfloat16 needs none.
    """

    def __init__(
        self,
        method: Method,
        walker: Walker,
        held_out: Iterable[Any] | None,
        fresh: Iterator[Any] | None,
    ):
        self.method, self.walker, self.optimizer = method, walker, walker.optimizer
        defaults = getattr(self.optimizer, "defaults", {})
        super().__init__(self.optimizer.param_groups, defaults)
        self._share_groups()
        inner = unwrapped(self.optimizer)
        if hasattr(inner, "_optimizer_load_state_dict_post_hooks"):  # it ran torch's __init__
            inner.register_load_state_dict_post_hook(lambda _: self._share_groups())
        self._parameters = list(walker.model.parameters())
        self._trainable = [p.requires_grad for p in self._parameters]
        self._held_out = None if held_out is None else Resumable(held_out, walker.device)
        self._fresh = None if fresh is None else (as_batch(b).to(walker.device) for b in fresh)
        walker.feed(self._held_out, self._fresh)

    def __repr__(self) -> str:
        inner = type(unwrapped(self.optimizer)).__name__
        return f"Stepper({self.method}, {inner}, {self.walker.step_index} steps taken)"

    def step(  # type: ignore[override]
        self,
        batch: Batch | Iterable[Any] | Callable[[], Any] | None = None,
        closure: Callable[[], Any] | None = None,
    ) -> Tensor:
        """Make one step of the method; returns the loss at w before it, shape ().

        batch: a Batch, a pair (x, y) or a mapping. A list or an iterator of these is one step on
        all their examples, batch by batch (gradient accumulation): every gradient, also that of a
        climb, is the mean over the union by weight, and batch norm normalises each by itself.
        closure, or batch in its place: a function as torch.optim.LBFGS has it: it clears the
        gradient, computes the loss, calls backward and returns the loss, always on the same data.
        It is called once a pass with the model's parameters moved; precision is its own business.

        Raises ValueError for a closure where the method needs more than that, and without either.
        """
        if (batch is None) == (closure is None):
            raise ValueError(NO_BATCH if batch is None else "Pass a batch or a closure, not both.")
        if torch.is_inference_mode_enabled():
            raise ValueError("`step` needs gradients. Call it outside of torch.inference_mode().")
        batch = closure if batch is None else batch
        self._share_groups()
        if [p.requires_grad for p in self._parameters] != self._trainable:
            raise ValueError("Other parameters are trainable than before. Call `wrap` again.")
        if callable(batch):
            self._check_closure()
            self.walker.begin(None)
            self.method.step(self.walker, cast(Batch, Closure(batch)))
        else:
            batch = gathered(batch).to(self.walker.device)
            if not batch.share > 0:
                raise ValueError("A batch must hold an example of weight above 0. Got none.")
            self.walker.begin(batch.size)
            self.method.step(self.walker, batch)
        return self.walker.step_loss

    def __getstate__(self) -> NoReturn:
        """Refuse to be copied or pickled: parameters are known by identity."""
        raise ValueError(
            "A stepper cannot be copied or pickled. Wrap the copied model with an optimizer of its "
            "own, and load `state_dict()` there."
        )

    @property
    def logged(self) -> Mapping[str, Tensor | float]:
        """Values that the method logged in the last step, such as the radius of LETS."""
        return self.walker.logged

    def state_dict(self) -> dict[str, Any]:
        """Return a snapshot: base optimizer, method, counts, position in the held-out data.

        The model's weights and the place in `fresh` are the caller's to keep, and the order of
        `held_out`: a loader that shuffles goes on with other batches.
        """
        return copy.deepcopy(
            {
                "name": requirements.name_of(self.method),
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
        ours = requirements.name_of(self.method)
        theirs = state.get("name", ours)  # older states do not name their method
        if theirs != ours or bool(state["method"]) != hasattr(self.method, "load_state_dict"):
            other = "another method" if theirs == ours else theirs
            raise ValueError(
                f"The state must come from the same method, {ours}. Got that of {other}."
            )
        self.optimizer.load_state_dict(state["optimizer"])
        self._share_groups()
        if hasattr(self.method, "load_state_dict"):
            self.method.load_state_dict(state["method"])
        for name in COUNTS:
            setattr(self.walker, name, state[name])
        if self._held_out is not None:
            self._held_out.position = state["held_out"]
            self.walker.feed(self._held_out, self._fresh)

    def _share_groups(self) -> None:
        """Refer to the base optimizer's groups and state, also after it has loaded others."""
        self.param_groups, self.state = self.optimizer.param_groups, self.optimizer.state

    @property
    def _step_supports_amp_scaling(self) -> bool:
        """Refuse torch.amp.GradScaler, which asks for this first."""
        raise ValueError(
            "A GradScaler cannot drive this step: passes after the first would be scaled without "
            "being unscaled. Use wrap(..., autocast=torch.bfloat16), which needs no scaler."
        )

    def _check_closure(self) -> None:
        requirements.check_closure(self.method)
        if any(p.grad is not None and bool(p.grad.any()) for p in self._parameters):
            raise ValueError(
                "Gradients lie in `.grad` already, and a closure's step would leave them out. "
                "Accumulate with step([batch, ...]), or call zero_grad() before."
            )
        if self.walker.autocast is not None:
            raise ValueError(
                "`autocast` does not reach into a closure. Open torch.autocast in it, around the "
                "forward pass, and wrap without."
            )


def wrap(
    method: Method | str,
    model: nn.Module,
    optimizer: Optimizer | Sequence[Optimizer],
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
    """Return a stepper that trains `model` with `method` on top of the base `optimizer`.

    method: an object, or a name as "sam" or "lets+asam" for one at its defaults.
    optimizer: holds exactly the model's trainable parameters; schedules act on it as always. A list
    of several, as Muon and AdamW, steps as one; each keeps its own schedule.
    loss: (model, batch) -> mean over the batch, shape ().
    held_out: a re-iterable of batches or pairs (x, y), cycled; fresh: an endless iterator of
    further training batches. Both for lets.
    logits: (model, batch) -> classes last; default model(batch.x).
    seed: of dropout masks, each pass from (seed, step, pass), or one per step with `same_mask`.
    autocast: torch.bfloat16 for mixed precision; the weights stay float32.
    max_grad_norm: clips the final gradient; None: not at all.
    distributed: under torchrun, on the bare module: "global", every gradient averaged over the
    ranks; or "per-rank", each climbs on its own batch (see `landscape.methods.walker.distributed`).

    Freeze, add or replace parameters before, or wrap again.

    Raises ValueError for an unknown method, an optimizer whose parameters are not the model's, that
    is not the one that the method's name promises (sgd, adamw) or that needs more than a gradient
    (LBFGS), extra batches that the method needs and does not get, a half precision that needs
    scaled gradients, a `max_grad_norm` that is not positive and finite, and a model that
    synchronises or shards itself. Warns where several ranks run and `distributed` is not set.

    Example: one step of SAM.

    >>> import torch
    >>> import landscape as ls
    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> model.weight.data = torch.tensor([[0.6, 0.8]])
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> mse = lambda model, batch: (model(batch.x) - batch.y).square().mean()
    >>> stepper = ls.optim.wrap("sam", model, optimizer, mse)
    >>> round(stepper.step((torch.eye(2), torch.zeros(2, 1))).item(), 4), stepper
    (0.5, Stepper(SAM(rho=0.05, normalize=True), SGD, 1 steps taken))
    """
    if isinstance(method, str):
        method = make(method)
    if not hasattr(method, "step"):
        raise ValueError(
            f"`method` must be a method or one of {', '.join(METHODS)}. Got {method!r}."
        )
    optimizer = as_one(optimizer)
    requirements.check(method, optimizer, held_out, fresh)
    requirements.check_model(method, model)
    options: dict[str, Any] = {
        "logits": logits,
        "seed": seed,
        "same_mask": same_mask,
        "autocast": autocast,
        "max_grad_norm": max_grad_norm,
    }
    if distributed is None:
        check_alone(model)
        walker = Walker(model, optimizer, loss, **options)
    else:
        if distributed == "per-rank":
            requirements.check_per_rank(method)
        walker = DistributedWalker(model, optimizer, loss, ascent=distributed, **options)
    return Stepper(method, walker, held_out, fresh)
