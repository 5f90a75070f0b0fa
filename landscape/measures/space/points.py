"""A point in weight space from what a user has: a tensor, a module, a state dict or a run."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from landscape.objective.objective import Objective


def point_at(end: Any, objective: Objective) -> Tensor:
    """The weights of `end` as a point (n,) of the objective's network.

    end: a tensor (n,), a module, a state dict, or a run, which has `model()`.

    Raises ValueError for other types, and where names, shapes or numbers do not fit.
    """
    if isinstance(end, Tensor):
        point = end
    elif isinstance(end, Mapping):
        point = _of_state(end, objective)
    elif isinstance(end, nn.Module):
        point = _of_state(_named(end), objective)
    elif callable(getattr(end, "model", None)):
        point = _of_state(_named(end.model()), objective)
    else:
        raise ValueError(
            "`end` must be a tensor (n,), as `Objective(...).w`, a module, a state dict or a run. "
            f"Got {type(end).__name__}."
        )
    w = objective.w
    if point.shape != w.shape:
        raise ValueError(f"`end` must have shape {tuple(w.shape)}, as w. Got {tuple(point.shape)}.")
    if not bool(point.isfinite().all()):
        raise ValueError("`end` must be finite. Got NaN or infinite numbers.")
    return point.detach().to(w)


def _named(model: nn.Module) -> Mapping[str, Tensor]:
    """Parameters by name, of the module that torch.compile wraps."""
    return dict(getattr(model, "_orig_mod", model).named_parameters())


def _of_state(state: Mapping[str, Any], objective: Objective) -> Tensor:
    """The tensors of the trainable parameters, in the order of w."""
    shapes = objective.weights.shapes
    lacking = [name for name in shapes if name not in state]
    if lacking:
        raise ValueError(f"`end` is another network: it has no {', '.join(lacking[:3])}.")
    for name, shape in shapes.items():
        if getattr(state[name], "shape", None) != shape:
            raise ValueError(
                f"`end` is another network: {name} must have shape {tuple(shape)}. "
                f"Got {tuple(getattr(state[name], 'shape', ()))}."
            )
    return torch.cat([state[name].detach().reshape(-1).to(objective.device) for name in shapes])
