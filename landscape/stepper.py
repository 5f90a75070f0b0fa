"""One step of a method in a user's own loop: on a batch, on several, or by a closure."""

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

from torch import Tensor
from torch.optim import Optimizer

from landscape.methods import AACE, FAM, LETS, MSAM, Method
from landscape.methods.walker.accumulation import gathered
from landscape.methods.walker.closure import Closure
from landscape.methods.walker.extra_batches import Resumable
from landscape.methods.walker.walker import Walker
from landscape.network.batch import Batch, as_batch

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
