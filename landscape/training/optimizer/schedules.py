"""Schedules of torch by name, as a table of learning rates: one row for each epoch, or each step.

A table depends on nothing but the settings, so that training goes on anywhere in it.
"""

from collections.abc import Mapping, Sequence
from inspect import signature
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    ExponentialLR,
    LinearLR,
    LRScheduler,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    StepLR,
)

from landscape.utils.names import unknown

OURS = ("cosine", "step", "constant")  # over shares of the budget
SCHEDULES: dict[str, type[LRScheduler]] = {
    "StepLR": StepLR,
    "MultiStepLR": MultiStepLR,
    "ConstantLR": ConstantLR,
    "LinearLR": LinearLR,
    "ExponentialLR": ExponentialLR,
    "PolynomialLR": PolynomialLR,
    "CosineAnnealingLR": CosineAnnealingLR,
    "CosineAnnealingWarmRestarts": CosineAnnealingWarmRestarts,
    "CyclicLR": CyclicLR,
    "OneCycleLR": OneCycleLR,
}
NOT_TABLES = {  # of torch's
    "lambdalr": "it takes a function",
    "multiplicativelr": "it takes a function",
    "sequentiallr": "it takes other schedules",
    "chainedscheduler": "it takes other schedules",
    "reducelronplateau": "it follows a metric, and a schedule here is fixed beforehand",
}
UNITS = ("epoch", "step")
NOT_SET = ("optimizer", "last_epoch", "scale_fn", "cycle_momentum", "base_momentum", "max_momentum")


def canonical_schedule(name: str) -> str:
    """Return a name of OURS or SCHEDULES from one in any case.

    Raises ValueError for a name that is not known, or that is no table.
    """
    if reason := NOT_TABLES.get(name.casefold()):
        raise ValueError(f"`training.schedule` cannot be {name}: {reason}. Use StepLR or cosine.")
    same = [known for known in (*OURS, *SCHEDULES) if known.casefold() == name.casefold()]
    if not same:
        raise ValueError(unknown("training.schedule", name, [*OURS, *SCHEDULES]))
    return same[0]


def check_arguments(name: str, arguments: Mapping[str, Any]) -> None:
    """Raise ValueError, naming the nearest, for an argument that a schedule lacks.

    OURS take none: milestones, gamma and warmup are settings of their own.
    """
    if name in OURS and arguments:
        raise ValueError(
            f"`training.schedule_args` are for schedules of torch, as StepLR. Got {name!r}."
        )
    known = [] if name in OURS else arguments_of(SCHEDULES[name])
    for key in arguments:
        if key not in known:
            raise ValueError(unknown(f"argument of {name}", key, known))


def arguments_of(kind: type[LRScheduler]) -> list[str]:
    """List the arguments that `training.schedule_args` may set."""
    return [name for name in signature(kind).parameters if name not in NOT_SET]


def table(
    name: str, arguments: Mapping[str, Any], rates: Sequence[float], rows: int
) -> list[list[float]]:
    """Learning rates (rows, groups) of torch's schedule over `rows` epochs or steps.

    rates: learning rate of each group. What a length is left out of the arguments is `rows`
    (T_max of CosineAnnealingLR, total_steps of OneCycleLR), and OneCycleLR's max_lr is `rates`.
    Momentum is not cycled.

    Raises ValueError, in one line, for arguments that are missing or impossible.
    """
    kind = SCHEDULES[name]
    groups = [{"params": [nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates]
    optimizer = torch.optim.SGD(groups, lr=1.0)
    try:
        schedule = kind(optimizer, **{**_defaults(kind, arguments, rates, rows), **arguments})
        found = [[group["lr"] for group in optimizer.param_groups]]
        for _ in range(rows - 1):
            optimizer.step()
            schedule.step()
            found.append([group["lr"] for group in optimizer.param_groups])
    except (TypeError, ValueError, ZeroDivisionError) as error:
        why = str(error).removeprefix(f"{kind.__name__}.__init__() ")
        raise ValueError(f"{name} refuses its arguments: {why}.") from None
    return [[float(rate) for rate in row] for row in found]


def _defaults(
    kind: type[LRScheduler], arguments: Mapping[str, Any], rates: Sequence[float], rows: int
) -> dict[str, Any]:
    if kind is CosineAnnealingLR:
        return {"T_max": rows}
    if kind is OneCycleLR:
        has_length = {"epochs", "steps_per_epoch", "total_steps"} & set(arguments)
        length = {} if has_length else {"total_steps": rows}
        return {"max_lr": list(rates), "cycle_momentum": False, **length}
    return {"cycle_momentum": False} if kind is CyclicLR else {}
