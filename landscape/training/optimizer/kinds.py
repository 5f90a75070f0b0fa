"""Base optimizers by name: torch's, Muon with AdamW for what is no hidden matrix, or the user's."""

from collections.abc import Mapping, Sequence
from functools import cache
from inspect import Parameter, signature, unwrap
from typing import Any

import torch
from torch import nn
from torch.optim import (
    ASGD,
    SGD,
    Adadelta,
    Adafactor,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Muon,
    NAdam,
    Optimizer,
    RAdam,
    RMSprop,
    Rprop,
)

from landscape.methods.walker.base_optimizer import OptimizerGroup, as_one
from landscape.tasks import imports
from landscape.utils.names import canonical, unknown

OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "adamw": AdamW,
    "adam": Adam,
    "nadam": NAdam,
    "radam": RAdam,
    "adamax": Adamax,
    "adagrad": Adagrad,
    "adadelta": Adadelta,
    "rmsprop": RMSprop,
    "rprop": Rprop,
    "asgd": ASGD,
    "adafactor": Adafactor,
    "muon": Muon,
}
NOT_DRIVEN = {  # of torch's
    "lbfgs": "it evaluates the loss again within its step",
    "sparseadam": "it updates the rows of a sparse gradient alone",
}
FUSED = (SGD, Adam, AdamW)  # on every device
OF_OTHER_SETTINGS = ("params", "lr", "weight_decay")
OF_TORCH = ("foreach", "fused", "capturable", "differentiable", "maximize")
_MARKED = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")
Groups = Sequence[dict[str, Any]]


def canonical_optimizer(name: str) -> str:
    """Return "auto", a name of OPTIMIZERS from one in any case, or a reference as it is.

    Raises ValueError for a name that is not known, or that a single gradient cannot drive.
    """
    if imports.is_reference(name):
        return name
    if reason := NOT_DRIVEN.get(name.casefold()):
        raise ValueError(
            f"`training.optimizer` cannot be {name}: {reason}, and gets one gradient here. "
            "Use sgd or adamw."
        )
    return canonical("training.optimizer", name, ["auto", *OPTIMIZERS])


def check_arguments(name: str, arguments: Mapping[str, Any]) -> None:
    """Raise ValueError, naming the nearest, for an argument that an optimizer of torch's lacks.

    Those of "auto" and of the user's own are checked when it is built.
    """
    if name in OPTIMIZERS:
        known = arguments_of(OPTIMIZERS[name])
        for key in arguments:
            if key not in known:
                raise ValueError(unknown(f"argument of {name}", key, known))


def arguments_of(kind: type[Optimizer]) -> list[str]:
    """List the arguments that `training.optimizer_args` may set."""
    others = (*OF_OTHER_SETTINGS, *OF_TORCH, *(("momentum", "nesterov") if kind is SGD else ()))
    return [name for name in signature(kind).parameters if name not in others]


def build(
    name: str,
    model: nn.Module,
    groups: Groups,
    arguments: Mapping[str, Any],
    **shared: Any,
) -> Optimizer:
    """Build an optimizer from parameter groups, each with params, lr and weight_decay.

    name: of OPTIMIZERS, or a reference to a class or factory of (groups, **keywords). shared: lr,
    weight_decay, momentum and nesterov of the settings, passed where they are taken; momentum and
    nesterov to SGD alone.

    Raises ValueError, in one line, for arguments that are not taken or impossible.
    """
    if imports.is_reference(name):
        options = {key: shared[key] for key in ("lr", "weight_decay")}
        return _own(name, groups, arguments, options)
    check_arguments(name, arguments)
    if name == "muon":
        return _muon(model, groups, arguments, shared)
    return _torchs(OPTIMIZERS[name], groups, arguments, shared)


def _torchs(
    kind: type[Optimizer], groups: Groups, arguments: Mapping[str, Any], shared: Mapping[str, Any]
) -> Optimizer:
    taken = {"lr", "weight_decay"} | ({"momentum", "nesterov"} if kind is SGD else set())
    options = _taken(kind, kind.__name__, groups, {k: v for k, v in shared.items() if k in taken})
    options |= {key: tuple(v) if isinstance(v, list) else v for key, v in arguments.items()}
    options |= {"fused": True} if kind in FUSED else {}
    try:
        return _unmarked(kind)([dict(group) for group in groups], **options)  # type: ignore[arg-type]
    except (AssertionError, TypeError, ValueError) as error:
        raise ValueError(f"{kind.__name__} refuses its arguments: {error}.") from None


def _muon(
    model: nn.Module, groups: Groups, arguments: Mapping[str, Any], shared: Mapping[str, Any]
) -> Optimizer:
    """Muon for the matrices of hidden layers, AdamW for all other parameters.

    One learning rate and decay serve both: Muon's step is scaled to the size of AdamW's (Liu et
    al. 2025, arXiv 2502.16982) unless `adjust_lr_fn` says otherwise.
    """
    hidden = hidden_matrices(model)
    shares = [
        [{**g, "params": [p for p in g["params"] if (id(p) in hidden) is wanted]} for g in groups]
        for wanted in (True, False)
    ]
    matrices, rest = ([group for group in share if group["params"]] for share in shares)
    if not matrices:
        raise ValueError(
            "muon needs trainable matrices of hidden layers, as linear layers have them, and this "
            "network has none. Use adamw."
        )
    scaled = {"adjust_lr_fn": "match_rms_adamw", **arguments}
    muon = _torchs(Muon, matrices, scaled, shared)
    return OptimizerGroup([muon, _torchs(AdamW, rest, {}, shared)]) if rest else muon


def hidden_matrices(model: nn.Module) -> set[int]:
    """The ids of the parameters with two axes, without embeddings and the last linear layer."""
    tables = [m.weight for m in model.modules() if isinstance(m, nn.Embedding | nn.EmbeddingBag)]
    linear = [m.weight for m in model.modules() if isinstance(m, nn.Linear)]
    outside = {id(p) for p in (*tables, *linear[-1:])}
    return {id(p) for p in model.parameters() if p.dim() == 2 and id(p) not in outside}


def _own(
    reference: str, groups: Groups, arguments: Mapping[str, Any], shared: Mapping[str, Any]
) -> Optimizer:
    factory = imports.imported(reference)
    if not callable(factory):
        raise ValueError(f"{reference} must be callable. Got {type(factory).__name__}.")
    options = _taken(factory, reference, groups, shared)
    made = imports.called(reference, {**options, **arguments}, [dict(group) for group in groups])
    optimizer = as_one(made)
    for one in getattr(optimizer, "optimizers", [optimizer]):
        if callable(getattr(one, "train", None)) and callable(getattr(one, "eval", None)):
            raise ValueError(
                f"{reference} swaps the weights by train() and eval(), which nothing calls here. "
                "Use it in a loop of your own, with landscape.optim.wrap."
            )
    return optimizer


def _taken(factory: Any, name: str, groups: Groups, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that a factory takes; ValueError where it takes no weight decay but has one."""
    parameters = signature(factory).parameters
    takes_any = any(p.kind is Parameter.VAR_KEYWORD for p in parameters.values())
    taken = {key: value for key, value in options.items() if takes_any or key in parameters}
    if "weight_decay" not in taken and any(group["weight_decay"] for group in groups):
        raise ValueError(f"{name} takes no weight decay. Set training.weight_decay=0.")
    return taken


@cache
def _unmarked(kind: type[Optimizer]) -> type[Optimizer]:
    """Subclass an optimizer of torch without its marks for torch's compiler.

    Each mark imports the compiler, which takes a second, though nothing here is compiled.
    """
    plain = {name: unwrap(getattr(kind, name)) for name in _MARKED}
    step = torch.no_grad()(unwrap(kind.step))
    return type(kind.__name__, (kind,), {**plain, "step": step})
