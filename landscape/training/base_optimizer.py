"""The optimizer that a method's gradients go to, from the settings of a run."""

from functools import cache
from inspect import unwrap
from typing import Any

import torch
from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from landscape.training.parameter_groups import options_of
from landscape.training.settings import Settings

_MARKED = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")


def base_optimizer(model: nn.Module, settings: Settings, method: object) -> Optimizer:
    """Build torch's SGD or AdamW: as the settings name it, else as the method asks, else SGD."""
    t = settings.training
    known: dict[str, type[Optimizer]] = {"sgd": SGD, "adamw": AdamW}
    kind = known.get(t.optimizer) or getattr(method, "base", SGD)
    groups = options_of(model, t.groups, t.lr, t.weight_decay)
    options: dict[str, Any] = {"lr": t.lr, "weight_decay": t.weight_decay, "fused": True}
    if kind is not AdamW:
        kind, options = SGD, {**options, "momentum": t.momentum, "nesterov": t.nesterov}
    return _unmarked(kind)(groups, **options)


@cache
def _unmarked(kind: type[Optimizer]) -> type[Optimizer]:
    """Subclass an optimizer of torch without its marks for torch's compiler.

    Each mark imports the compiler, which takes a second, though nothing here is compiled.
    """
    plain = {name: unwrap(getattr(kind, name)) for name in _MARKED}
    step = torch.no_grad()(unwrap(kind.step))
    return type(kind.__name__, (kind,), {**plain, "step": step})
