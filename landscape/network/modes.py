"""Train and eval mode as flags: `train()` and `eval()` may run a user's code, which merges weights
or moves statistics (rule R1), so they are called on copies alone.
"""

import copy
from collections.abc import Sequence

from torch import nn

from landscape.network.isolation import modes_of, set_modes


def set_eval(model: nn.Module) -> None:
    """Every module in eval mode, by its flag alone."""
    set_modes([(module, False) for module in model.modules()])


def overriding(model: nn.Module) -> dict[str, nn.Module]:
    """The modules whose `train()` or `eval()` is not torch's own, by name."""
    return {
        name: module
        for name, module in model.named_modules()
        if not type(module).__module__.startswith("torch.")
        and (
            getattr(module.train, "__func__", None) is not nn.Module.train
            or getattr(module.eval, "__func__", None) is not nn.Module.eval
        )
    }


def modes_in_training(model: nn.Module) -> Sequence[tuple[nn.Module, bool]]:
    """Each module with the mode that it has while the model trains.

    Of a model in eval mode: all train, but what a `train()` of the model's own leaves in eval
    mode, tried on a copy.
    """
    if model.training:
        return modes_of(model)
    if not overriding(model):
        return [(module, True) for module in model.modules()]
    tried = copied(model).train()
    pairs = zip(model.modules(), tried.modules(), strict=True)
    return [(module, of_copy.training) for module, of_copy in pairs]


def copied(model: nn.Module) -> nn.Module:
    """A copy on which a user's `train()` or `eval()` may run. Raises ValueError where it fails."""
    try:
        return copy.deepcopy(model)
    except Exception as error:  # a user's own code
        raise ValueError(
            "train() or eval() of the model run code of its own, which is tried on a copy, and "
            f"copy.deepcopy fails: {error}. Call model.eval() first, and take batch_norm='stored'."
        ) from None


def named(name: str, module: nn.Module) -> str:
    """A module in messages."""
    return f"{name!r} ({type(module).__name__})" if name else type(module).__name__
