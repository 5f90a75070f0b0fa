"""Train and eval mode as flags: `train()` and `eval()` may run a user's code, which merges weights
or moves statistics (rule R1), so they are called on copies alone.
"""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from landscape.network.batch import Batch, LossFn, scalar
from landscape.network.isolation import (
    isolated_buffers,
    kept_modes,
    kept_module_state,
    modes_of,
    set_modes,
)
from landscape.utils.rng import seeded


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
    tried = _copied(model).train()
    pairs = zip(model.modules(), tried.modules(), strict=True)
    return [(module, of_copy.training) for module, of_copy in pairs]


def check_flags(model: nn.Module, loss: LossFn, batch: Batch) -> None:
    """Raise ValueError where flags in eval mode do not make what the model's own `eval()` makes, or
    where a module with an `eval()` of its own has parameters without influence: merged ones.
    """
    modules = overriding(model)
    if not modules:
        return
    by_flags = _loss_in_eval(model, loss, batch)
    for name, module in modules.items():
        own = [p for p in module.parameters(recurse=False) if p.requires_grad]
        reached = (
            own
            and by_flags.requires_grad
            and torch.autograd.grad(by_flags, own, retain_graph=True, allow_unused=True)
        )
        if own and (not reached or any(g is None for g in reached)):
            raise ValueError(
                f"Parameters of {_named(name, module)} have no influence on the loss: they may be "
                "merged into other weights, as its own eval() does. Call model.train() first."
            )
    if not any(module.training for module in model.modules()):
        return  # the user's own eval() has been called
    by_call = _loss_in_eval(_copied(model).eval(), loss, batch)
    if not torch.isclose(
        by_flags, by_call, rtol=3 * torch.finfo(by_flags.dtype).eps ** 0.5, equal_nan=True
    ):
        names = ", ".join(_named(*pair) for pair in modules.items())
        raise ValueError(
            f"eval() of {names} changes more than modes: the loss is {by_call.item():.4g} after "
            f"it, and {by_flags.item():.4g} without. Call model.eval() first."
        )


def _loss_in_eval(model: nn.Module, loss: LossFn, batch: Batch) -> Tensor:
    device = next(model.parameters()).device
    with (
        torch.enable_grad(),
        kept_modes(model),
        kept_module_state(model),
        isolated_buffers(model),
        seeded(0, device),
    ):
        set_eval(model)
        return scalar(loss(model, batch))


def _copied(model: nn.Module) -> nn.Module:
    try:
        return copy.deepcopy(model)
    except Exception as error:  # a user's own code
        raise ValueError(
            "train() or eval() of the model run code of its own, which is tried on a copy, and "
            f"copy.deepcopy fails: {error}. Call model.eval() first, and take batch_norm='stored'."
        ) from None


def _named(name: str, module: nn.Module) -> str:
    return f"{name!r} ({type(module).__name__})" if name else type(module).__name__
