"""The base optimizer: one of torch's, a wrapper around one, or several in the place of one."""

import inspect
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any, cast

from torch.optim import Optimizer, SparseAdam

NEEDS_A_GRAPH = ("set_hessian", "get_trace", "compute_hutchinson_hessian")  # AdaHessian's names
CLIMBS_ITSELF = ("first_step", "second_step")  # SAM as an optimizer


def unwrapped(optimizer: Any) -> Any:
    """Return the optimizer inside wrappers that keep it as `optimizer`, as accelerate's does."""
    while isinstance(getattr(optimizer, "optimizer", None), Optimizer):
        optimizer = optimizer.optimizer
    return optimizer


def name_of(optimizer: Any) -> str:
    """Name an optimizer by its class, several as in "Muon with AdamW"."""
    several = getattr(optimizer, "optimizers", [optimizer])
    return " with ".join(type(unwrapped(one)).__name__ for one in several)


def as_one(optimizer: Optimizer | Sequence[Optimizer]) -> Optimizer:
    """Return one optimizer: the given one, or several that step together.

    Raises ValueError for anything else, and for optimizers that a single gradient cannot drive.
    """
    if not isinstance(optimizer, list | tuple):
        _check_drivable(optimizer)
        return cast(Optimizer, optimizer)
    for one in optimizer:
        _check_drivable(one)
    return OptimizerGroup(optimizer)


class OptimizerGroup(Optimizer):
    """Several optimizers that step one after the other, each on parameters of its own.

    As Muon for matrices and AdamW for the rest. Groups and states are theirs.
    """

    def __init__(self, optimizers: Iterable[Optimizer]):
        self.optimizers = list(optimizers)
        if not self.optimizers:
            raise ValueError("`optimizer` must hold at least one optimizer. Got an empty list.")
        groups = chain.from_iterable(o.param_groups for o in self.optimizers)
        super().__init__(list(groups), {})
        self._share()
        for optimizer in self.optimizers:
            unwrapped(optimizer).register_load_state_dict_post_hook(lambda _: self._share())

    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Step all optimizers; a closure is refused, because each would call it."""
        if closure is not None:
            raise ValueError("Several optimizers cannot share a closure. Call step() without one.")
        for optimizer in self.optimizers:
            optimizer.step()
        self._share()

    def state_dict(self) -> dict[str, Any]:
        """Return the state of each optimizer, in order."""
        return {"optimizers": [o.state_dict() for o in self.optimizers]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict()` of as many optimizers in the same order."""
        for optimizer, its in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(its)

    def _share(self) -> None:
        """Refer to the optimizers' groups and states as they are now."""
        self.param_groups = [group for o in self.optimizers for group in o.param_groups]
        self.state.clear()
        for optimizer in self.optimizers:
            self.state.update(optimizer.state)


def _check_drivable(optimizer: Any) -> None:
    name = type(optimizer).__name__
    if not (hasattr(optimizer, "param_groups") and hasattr(optimizer, "step")):
        raise ValueError(
            "`optimizer` must be a torch optimizer, or a list of several that share the "
            f"parameters. Got {name}."
        )
    inner = unwrapped(optimizer)
    if any(hasattr(inner, climbs) for climbs in CLIMBS_ITSELF):
        raise ValueError(
            f"The base optimizer must not climb itself. Got {name}: pass the optimizer inside it."
        )
    if any(hasattr(inner, needs) for needs in NEEDS_A_GRAPH):
        raise ValueError(
            f"{name} differentiates the gradient again, and gets a plain one here. "
            "Use an optimizer of first order, as SGD or AdamW."
        )
    if isinstance(inner, SparseAdam):
        raise ValueError(
            "SparseAdam updates the rows of a sparse gradient alone, and gets a dense one here. "
            "Use Adam, or SGD."
        )
    closure = inspect.signature(inner.step).parameters.get("closure")
    if closure is not None and closure.default is inspect.Parameter.empty:
        raise ValueError(
            f"{name} evaluates the loss again within its step, and gets one gradient here. "
            "Use an optimizer whose step() needs no closure, as SGD or AdamW."
        )
