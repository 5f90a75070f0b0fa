"""The optimizer that a method's gradients go to, from the settings of a run."""

import torch
from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from landscape.methods import make
from landscape.methods.requirements import check_optimizer
from landscape.tasks.registry import task as find_task
from landscape.training.optimizer.kinds import build
from landscape.training.parameter_groups import freeze, options_of
from landscape.training.schedule import Rates
from landscape.training.settings import Settings, unlabelled

USUAL = ("auto", "sgd", "adamw")


def base_optimizer(model: nn.Module, settings: Settings, method: object) -> Optimizer:
    """Build the base optimizer: as the settings name it, else as the method asks, else SGD.

    Raises ValueError where its arguments do not fit, or the method cannot stand on it.
    """
    t, name = settings.training, settings.training.optimizer
    if name == "auto":
        name = "adamw" if getattr(method, "base", SGD) is AdamW else "sgd"
    optimizer = build(
        name,
        model,
        options_of(model, t.groups, t.lr, t.weight_decay),
        t.optimizer_args,
        lr=t.lr,
        weight_decay=t.weight_decay,
        momentum=t.momentum,
        nesterov=t.nesterov,
    )
    check_optimizer(method, optimizer)
    return optimizer


def check_fits(settings: Settings) -> None:
    """Raise ValueError, with the method, where groups, optimizer or schedule do not fit.

    No network is built for the usual optimizers without groups.
    """
    t = settings.training
    try:
        if t.schedule_unit == "epoch":
            Rates(t, [t.lr], t.epochs)
        if t.groups or t.optimizer_args or t.optimizer not in USUAL:
            with torch.random.fork_rng():
                model = find_task(settings.task).build()
            freeze(model, t.groups)
            method = make(unlabelled(settings.method), settings.methods)
            base_optimizer(model, settings, method)
    except ValueError as error:
        raise ValueError(f"{settings.method}: {error}") from None
